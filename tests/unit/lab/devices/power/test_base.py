"""Off, wait, on: the device is never left without power in silence."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.devices.power.base import OFF_MAX_S, ON_ATTEMPTS, check_state, cycle_power
from lab.errors import PowerControlError


class Relay:
    """A switch by its script: `fails` names the calls (`off1`, `on2`, …) that raise."""

    where = "relay"

    def __init__(self, *fails, transient=True):
        self.calls, self.is_on = [], True
        self._fails, self._transient = fails, transient

    def off(self):
        self._do("off")

    def on(self):
        self._do("on")

    def state(self):
        return self.is_on

    def cycle(self, off_s):
        cycle_power(self, off_s, self.calls.append)

    def _do(self, name):
        self.calls.append(name)
        if f"{name}{self.calls.count(name)}" in self._fails:
            raise PowerControlError(f"{name} failed", transient=self._transient)
        self.is_on = name == "on"


def test_a_cycle_is_off_wait_on():
    """With the time that was asked for."""
    relay = Relay()
    relay.cycle(5.0)
    assert relay.calls == ["off", 5.0, "on"]


def test_switching_on_is_tried_again():
    """A plug that misses one request costs two seconds, not the device."""
    relay = Relay("on1", "on2")
    relay.cycle(1.0)
    assert relay.is_on
    assert relay.calls == ["off", 1.0, "on", 2.0, "on", 2.0, "on"]


def test_a_device_left_without_power_is_said_to_be():
    """After the last try a person is needed."""
    relay = Relay(*(f"on{number}" for number in range(1, ON_ATTEMPTS + 1)))
    with pytest.raises(PowerControlError, match="on failed") as caught:
        relay.cycle(1.0)
    assert caught.value.__notes__ == ["The device behind relay may be without power: switch it on by hand."]


def test_a_permanent_failure_is_not_repeated():
    """A wrong password stays wrong."""
    relay = Relay("on1", "on2", "on3", transient=False)
    with pytest.raises(PowerControlError):
        relay.cycle(1.0)
    assert relay.calls.count("on") == 1


def test_an_off_of_which_nobody_knows_is_taken_back():
    """The request may have arrived although its answer did not."""
    relay = Relay("off1")
    with pytest.raises(PowerControlError, match="off failed"):
        relay.cycle(1.0)
    assert relay.calls == ["off", "on"]


def test_an_off_that_cannot_be_taken_back_says_so():
    """The first error is raised, with the note of the second."""
    relay = Relay("off1", "on1", "on2", "on3")
    with pytest.raises(PowerControlError, match="off failed") as caught:
        relay.cycle(1.0)
    assert "may be without power" in caught.value.__notes__[0]


def test_a_person_who_interrupts_the_wait_gets_the_device_back_on():
    """Ctrl-C while the power is off."""
    relay = Relay()

    def interrupted(_seconds):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cycle_power(relay, 5.0, interrupted)
    assert relay.is_on


@pytest.mark.parametrize("off_s", [0.0, -1.0, OFF_MAX_S + 1, float("nan"), float("inf")])
def test_a_time_that_makes_no_sense_touches_nothing(off_s):
    """Checked before the power is cut."""
    relay = Relay()
    with pytest.raises(ValueError, match="at most 600 s"):
        relay.cycle(off_s)
    assert relay.calls == []


@given(st.sets(st.sampled_from(["off1", "on1", "on2", "on3"])))
def test_every_cycle_ends_with_power_or_with_a_warning(fails):
    """In every combination of failures."""
    relay = Relay(*fails)
    try:
        relay.cycle(1.0)
        warned = False
    except PowerControlError as error:
        warned = any("without power" in note for note in getattr(error, "__notes__", ()))
    assert relay.calls[-1] == "on"
    assert relay.is_on or warned


@pytest.mark.parametrize("wanted", [True, False])
def test_the_state_is_compared_where_it_is_known(wanted):
    """A switch that cannot be asked is believed."""
    check_state("relay", wanted, wanted)
    check_state("relay", wanted, None)
    with pytest.raises(PowerControlError, match=r"relay: asked to switch .*, and it says it is .*; look whether"):
        check_state("relay", wanted, not wanted)
