"""The ladder always ends, pauses stay bounded, and an error survives its way through the queue."""

from __future__ import annotations

import errno
import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab import errors
from lab.campaigns.recovery import (
    BACKOFF_MAX_S,
    BACKOFF_MIN_S,
    NOTES_MAX,
    TEXT_CAP,
    Outcome,
    backoff_s,
    error_outcome,
    next_rung,
    outcome_from_json,
)
from lab.errors import (
    CompressionError,
    ConnectionLost,
    DeviceBusy,
    LabError,
    PowerControlError,
    ProtocolMismatch,
    RequestFailed,
    StoreError,
)

ENDS = {"quarantine", "give_up"}
LAB_ERRORS = sorted((cls for cls in vars(errors).values() if isinstance(cls, type) and issubclass(cls, LabError)),
                    key=lambda cls: cls.__name__)


def ladder(count, *, can_reboot, can_power_cycle, limit=3):
    """The rungs after failure 1, 2, … of a failure that may pass."""
    return [next_rung(failures, transient=True, can_reboot=can_reboot, can_power_cycle=can_power_cycle, limit=limit)
            for failures in range(1, count + 1)]


def test_all_rungs_in_their_order():
    """Gentle first, and no rung twice but the first."""
    assert ladder(6, can_reboot=True, can_power_cycle=True) == [
        "retry", "retry", "reboot", "power_cycle", "quarantine", "quarantine"]


@pytest.mark.parametrize(("can_reboot", "can_power_cycle", "rungs"), [
    (False, False, ["retry", "retry", "quarantine", "quarantine"]),
    (True, False, ["retry", "retry", "reboot", "quarantine"]),
    (False, True, ["retry", "retry", "power_cycle", "quarantine"]),
])
def test_a_rung_the_device_lacks_is_left_out(can_reboot, can_power_cycle, rungs):
    """Nobody waits for a reboot that cannot happen."""
    assert ladder(4, can_reboot=can_reboot, can_power_cycle=can_power_cycle) == rungs


def test_a_limit_of_one_retries_nothing():
    """The first failure already meets the harder measures."""
    assert ladder(3, can_reboot=True, can_power_cycle=True, limit=1) == ["reboot", "power_cycle", "quarantine"]


@given(st.integers(1, 1000), st.booleans(), st.booleans(), st.integers(1, 50))
def test_a_permanent_error_is_given_up_at_once(failures, can_reboot, can_power_cycle, limit):
    """The device is not punished for an error that is not its own."""
    assert next_rung(failures, transient=False, can_reboot=can_reboot, can_power_cycle=can_power_cycle,
                     limit=limit) == "give_up"


@given(st.booleans(), st.booleans(), st.booleans(), st.integers(1, 50))
def test_every_ladder_ends(transient, can_reboot, can_power_cycle, limit):
    """Within limit + 2 failures, and it stays ended; each hard measure comes at most once."""
    rungs = [next_rung(failures, transient=transient, can_reboot=can_reboot, can_power_cycle=can_power_cycle,
                       limit=limit) for failures in range(1, limit + 20)]
    end = next(index for index, rung in enumerate(rungs) if rung in ENDS)
    assert end + 1 <= limit + 2
    assert set(rungs[end:]) <= ENDS
    assert rungs.count("reboot") <= int(can_reboot)
    assert rungs.count("power_cycle") <= int(can_power_cycle)


@pytest.mark.parametrize(("failures", "limit"), [(0, 3), (-1, 3), (1, 0)])
def test_a_ladder_without_failure_is_a_mistake(failures, limit):
    """The caller counts from one."""
    with pytest.raises(ValueError, match="starts at failure 1"):
        next_rung(failures, transient=True, can_reboot=True, can_power_cycle=True, limit=limit)


@given(st.integers(1, 10**9), st.text())
def test_pauses_are_bounded_and_repeatable(failures, seed):
    """Whatever the seed, from 2 s to 300 s, and the same again after a crash."""
    pause_s = backoff_s(failures, seed=seed)
    assert BACKOFF_MIN_S <= pause_s <= BACKOFF_MAX_S
    assert backoff_s(failures, seed=seed) == pause_s


@given(st.text())
def test_pauses_grow(seed):
    """Twice the middle is longer than one with its jitter, until the ceiling."""
    pauses_s = [backoff_s(failures, seed=seed) for failures in range(1, 8)]
    assert pauses_s == sorted(pauses_s)
    assert pauses_s[0] <= 3.0
    assert backoff_s(12, seed=seed) >= 200.0


def test_devices_that_failed_together_come_back_apart():
    """Of a hundred devices hardly two wait equally long, and the jitter uses its width."""
    pauses_s = {round(backoff_s(20, seed=f"campaign board{number}"), 3) for number in range(100)}
    assert len(pauses_s) > 95
    assert min(pauses_s) < 220.0
    assert max(pauses_s) > 280.0


def test_a_pause_before_any_failure_is_a_mistake():
    """As with the ladder."""
    with pytest.raises(ValueError, match="got 0"):
        backoff_s(0, seed="x")


@pytest.mark.parametrize("cls", LAB_ERRORS)
def test_every_error_of_the_lab_survives_the_queue(cls):
    """Kind, text, transience and notes are the same at the other end."""
    error = cls("it broke; mend it")
    error.add_note("device pi5")
    back = outcome_from_json(json.loads(json.dumps(error_outcome(error)))).as_error()
    assert type(back) is cls
    assert (str(back), back.transient, back.__notes__) == (str(error), error.transient, ["device pi5"])


def test_transience_of_one_error_travels_not_that_of_its_class():
    """A switch that refused the password is permanent, one that did not answer is not."""
    for transient in (True, False):
        data = error_outcome(PowerControlError("no answer", transient=transient))
        assert data["transient"] is transient
        assert outcome_from_json(data).as_error().transient is transient


def test_an_error_from_elsewhere_is_permanent_and_keeps_its_name():
    """A bug is not retried; the class of the controller's error is the lab's."""
    outcome = outcome_from_json(error_outcome(KeyError("gone")))
    assert outcome == Outcome(kind="KeyError", transient=False, text="'gone'")
    assert type(outcome.as_error()) is LabError
    assert str(outcome.as_error()) == "KeyError: 'gone'"


def test_an_error_without_text_is_called_by_its_kind():
    """Never an empty reason."""
    assert error_outcome(ConnectionLost())["text"] == "ConnectionLost"


@pytest.mark.parametrize("kind", ["annotations", "os", "NoSuchError", "__name__"])
def test_a_kind_that_is_no_error_becomes_a_plain_one(kind):
    """A newer worker may know errors that this controller does not."""
    error = Outcome(kind=kind, transient=True, text="x").as_error()
    assert type(error) is LabError
    assert error.transient
    assert str(error) == f"{kind}: x"


@given(st.text(), st.lists(st.text(), max_size=20))
def test_any_text_travels_as_clean_json(text, notes):
    """Escapes, NUL and unpaired surrogates stay behind; sizes are capped; a second trip changes nothing."""
    error = DeviceBusy(text)
    for note in notes:
        error.add_note(note)
    data = error_outcome(error)
    json.dumps(data, ensure_ascii=False).encode()
    assert "\x00" not in data["text"]
    assert "\x1b" not in data["text"]
    assert len(data["text"]) <= TEXT_CAP
    assert len(data["notes"]) <= NOTES_MAX
    again = outcome_from_json(data)
    assert (again.text, list(again.notes)) == (data["text"], data["notes"])


def test_lines_stay_lines():
    """A text of several lines is read as such."""
    assert error_outcome(RequestFailed("one\n\x1b[31mtwo\n\nthree"))["text"] == "one\ntwo\nthree"


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), CompressionError("step failed")])
def test_a_full_disk_is_told_as_such_wherever_it_was_met(error):
    """Trying again helps once there is space; the step that met it is not at fault."""
    error.__cause__ = None if isinstance(error, OSError) else OSError(errno.ENOSPC, "No space left on device")
    error.add_note("device: board")
    told = error_outcome(error)
    assert (told["kind"], told["transient"], told["notes"]) == ("DiskFull", True, ["device: board"])
    assert "The disk is full: free some space" in told["text"]
    assert isinstance(outcome_from_json(told).as_error(), StoreError)


GOOD = {"kind": "DeviceBusy", "transient": True, "text": "held", "notes": []}


@pytest.mark.parametrize("data", [
    None, [], "text", {}, {**GOOD, "kind": 3}, {**GOOD, "kind": "a b"}, {**GOOD, "kind": ""},
    {**GOOD, "transient": 1}, {**GOOD, "text": None}, {**GOOD, "notes": "abc"}, {**GOOD, "notes": [1]},
])
def test_json_that_is_no_failure_is_refused(data):
    """With what was expected and the next step."""
    with pytest.raises(ProtocolMismatch, match=r"expected .*, got .*; start the worker"):
        outcome_from_json(data)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: (
    st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(sorted(GOOD)) | st.text(), inner, max_size=4))))
def test_any_json_is_read_or_refused(data):
    """No other error, whatever arrives."""
    with suppress(ProtocolMismatch):
        assert outcome_from_json(data).text
