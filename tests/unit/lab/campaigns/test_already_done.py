"""A finished campaign submitted again is looked up, not planned anew; nothing is measured, and no queue is opened."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lab.domain.campaign import PROTOCOLS
from lab.store.store import Store
from lab.wiring import queue
from tests.support.controller_bench import BOARDS, Bench

HOUR_NS = 3600 * 10**9


@pytest.fixture
def store(lab_home):
    with Store.open(lab_home) as opened:
        yield opened


def finished(store, blocks=3, took_ns=None, **changes):
    """A bench whose campaign is done on every device."""
    bench = Bench(store, **changes)
    for device, calls in bench.measuring().items():
        for call in calls:  # it grows meanwhile
            bench.store_block(call)
            plan = call.args[2]["plan"]
            store.end_attempt(plan["block_id"], plan["attempt"], "done", took_ns=took_ns)
            calls.extend(bench.advance(device))
        assert len(calls) == blocks
    assert store.head(bench.id).state == "done"
    return bench


def test_the_results_of_a_finished_campaign_are_there_at_once(store):
    bench = finished(store)
    progress = queue.run_campaign(bench.services, bench.campaign, "")
    assert (progress.state, progress.cells_done, progress.cells_total) == ("done", 4, 4)
    assert not (store.home / "engine.db").exists()


@pytest.mark.parametrize("why", ["quarantined", "reserved"])
def test_of_a_pool_the_device_that_measured_counts_whoever_would_be_chosen_now(store, why):
    """Else the campaign would begin again on the other device."""
    bench = finished(store, devices=("pool:pair",))
    (device,) = {cell.device for cell in store.cells(bench.id)}
    cells = store.cells(bench.id)
    if why == "quarantined":
        store.quarantine(device, "for this test")
    else:
        store.reserve(device, "ada", "for this test", None)
    progress = queue.run_campaign(bench.services, bench.campaign, "")
    assert (progress.state, progress.cells_done) == ("done", 2)
    assert store.cells(bench.id) == cells
    assert store.definition(bench.id)[0].devices == ("pool:pair",)
    assert not (store.home / "engine.db").exists()


def test_of_a_pool_a_device_that_is_gone_is_not_looked_up(store):
    """Its results cannot be made again without it, so the campaign is planned on another one."""
    bench = finished(store, devices=("pool:pair",))
    (device,) = {cell.device for cell in store.cells(bench.id)}
    store.remove_device(device)
    assert queue._already_done(bench.services, bench.campaign, "") is None
    bench.resume()
    assert {cell.device for cell in store.cells(bench.id)} == set(BOARDS) - {device}


def test_a_spent_budget_is_no_reason_to_measure_when_the_campaign_is_only_submitted_again(store):
    """It is one when the campaign is resumed: that is to go on."""
    protocol = replace(PROTOCOLS["standard"], budget_ns=HOUR_NS)
    bench = finished(store, blocks=2, took_ns=HOUR_NS, protocol=protocol)  # two are queued in advance
    assert queue.run_campaign(bench.services, bench.campaign, "").state == "done"
    assert {call.device for call in bench.resume()} == set(BOARDS)
