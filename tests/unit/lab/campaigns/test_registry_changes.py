"""The registry changes under a queued campaign: a device goes, a profile changes. Asked of the controller's actions."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lab.campaigns.recovery import error_outcome
from lab.campaigns.standing import standing
from lab.errors import ConnectionLost, NotFound
from lab.store.store import Store
from tests.support import samples
from tests.support.controller_bench import BOARDS, Bench


@pytest.fixture
def bench(lab_home):
    with Store.open(lab_home) as store:
        yield Bench(store)


def only(texts):
    (text,) = texts
    return text


def check_removed(bench):
    states, reasons = bench.cells("board")
    assert states == {"failed"}
    assert "Device board was removed while this campaign was queued" in only(reasons)
    assert "`lab devices add`, then `lab campaigns retry`" in only(reasons)


def check_changed(bench):
    states, reasons = bench.cells("board")
    assert states == {"failed"}
    assert "The profile of board was changed" in only(reasons)
    assert "is kept" in only(reasons)
    assert "`lab campaigns retry`" in only(reasons)


def test_a_device_removed_before_it_answered(bench):
    """Its cells fail; the campaign waits for the other device."""
    bench.store.remove_device("board")
    assert bench.contacted("board") == []
    check_removed(bench)
    assert bench.store.head(bench.id).state == "preparing"
    assert bench.cells("other")[0] == {"waiting"}


def test_a_device_removed_while_its_artifacts_are_made(bench):
    """Nobody asks for it any more, so whatever artifact comes next must settle it, or the campaign would never end."""
    calls = bench.contacted("board")
    bench.contacted("other")
    bench.store.remove_device("board")
    blocks = bench.make(calls)
    check_removed(bench)
    assert {(call.name, call.device) for call in blocks} == {("block", "other")}


def test_a_device_removed_between_two_blocks(bench):
    """The other one goes on, and neither listing the campaign nor the block that was under way trips over it."""
    call = bench.measuring()["board"][0]
    bench.store_block(call, windows=1)
    bench.store.remove_device("board")
    assert bench.advance("board") == []
    check_removed(bench)
    assert len(bench.stored(call)) == 1
    assert bench.cells("other")[0] == {"measuring"}
    shown = {each.device: each for each in standing(bench.id, (), bench.services).devices}
    assert shown["board"].state == "failed"
    assert "was removed" in shown["board"].text
    lost = {"error": error_outcome(ConnectionLost("gone")), "elapsed_ns": 1}
    assert bench.ingested(call, lost) == []
    assert bench.store.health("board").failures == 0


def test_the_last_device_removed_ends_the_campaign(bench):
    """With the number of cells that have no result."""
    bench.measuring()
    for name in BOARDS:
        bench.store.remove_device(name)
        bench.advance(name)
    assert bench.store.head(bench.id).state == "failed"
    assert bench.store.campaign(bench.id).failure == "4 of 4 cells have no result"


def test_a_removed_device_that_is_added_again_is_measured_after_a_retry(bench):
    """As the text says; under its old name it is the same machine."""
    bench.measuring()
    bench.store.remove_device("board")
    bench.advance("board")
    bench.store.save_device(replace(samples.DEVICE, name="board", profile="board"))
    assert ("contact", "board") in {(call.name, call.device) for call in bench.resume()}
    assert bench.cells("board")[0] == {"waiting"}


def test_a_retry_without_the_removed_device_goes_on_with_the_others(bench):
    """Its cells stay in the campaign, with the reason."""
    cells = bench.store.cells(bench.id)
    bench.store.remove_device("board")
    assert [(call.name, call.device) for call in bench.resume()] == [("contact", "other")]
    check_removed(bench)
    assert bench.cells("other")[0] == {"waiting"}
    assert set(bench.store.cells(bench.id)) == set(cells)


def test_a_retry_with_no_device_left_says_what_to_do(bench):
    """Before anything is queued."""
    for name in BOARDS:
        bench.store.remove_device(name)
    with pytest.raises(NotFound, match=r"there is no device 'board'.*`lab devices add` registers one"):
        bench.resume()


def test_a_profile_changed_while_artifacts_are_made(bench):
    """The artifacts' names depend on the profile; the cells must not wait for names that no longer come."""
    calls = bench.contacted("board")
    bench.contacted("other")
    bench.profiles["board"] = "e" * 64
    blocks = bench.make(calls)
    check_changed(bench)
    assert {(call.name, call.device) for call in blocks} == {("block", "other")}


def test_a_profile_changed_between_two_blocks(bench):
    """What was measured under the old one stays under its cells; no block mixes both."""
    call = bench.measuring()["board"][0]
    bench.store_block(call, windows=1)
    bench.profiles["board"] = "e" * 64
    assert bench.advance("board") == []
    check_changed(bench)
    assert bench.cells("other")[0] == {"measuring"}
    assert len(bench.stored(call)) == 1


def test_a_retry_after_a_changed_profile_plans_other_cells(bench):
    """The old cells leave the campaign; the other device's stay as they are."""
    bench.measuring()
    before = {cell.id: cell.device for cell in bench.store.cells(bench.id)}
    bench.profiles["board"] = "e" * 64
    bench.advance("board")
    calls = bench.resume()
    after = {cell.id: cell.device for cell in bench.store.cells(bench.id)}
    assert {call.device for call in calls} == set(BOARDS)
    assert {name for cell_id, name in after.items() if cell_id in before} == {"other"}
    assert len(after) == len(before)
