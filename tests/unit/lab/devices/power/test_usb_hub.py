"""uhubctl's reports, from a real executable that prints them as uhubctl.c does."""

from __future__ import annotations

import pytest

from lab.devices.power import build_switch
from lab.errors import PowerControlError
from tests.support.power_devices import write_script, write_uhubctl


def usb_hub(program, hub="1-1", sleep=None):
    pairs = (("kind", "usb_hub"), ("hub", hub), ("port", "2"), ("program", f"'{program}'"))
    return build_switch(pairs, environ={}, sleep=sleep or (lambda _seconds: None))


@pytest.mark.parametrize("hubs", [("1-1",), ("1-1", "2-1")])
@pytest.mark.parametrize("lingers", [False, True])
def test_off_on_and_state(tmp_path, hubs, lingers):
    """Also for a USB 3 hub, which reports twice, and a device whose name speaks of power while it is off."""
    switch = usb_hub(write_uhubctl(tmp_path, hubs=hubs, lingers=lingers))
    assert switch.state() is True
    switch.off()
    assert switch.state() is False
    switch.on()
    assert switch.state() is True


def test_a_cycle_waits_here(tmp_path):
    """While it waits the port is off."""
    program = write_uhubctl(tmp_path)
    seen = []
    switch = usb_hub(program, sleep=lambda seconds: seen.append((seconds, switch.state())))
    switch.cycle(4.0)
    assert seen == [(4.0, False)]
    assert switch.state() is True


def test_a_hub_that_does_not_obey_is_noticed(tmp_path):
    """uhubctl exits with 0 all the same."""
    switch = usb_hub(write_uhubctl(tmp_path, obeys=False))
    with pytest.raises(PowerControlError, match="USB hub 1-1 port 2: asked to switch off, and it says it is on"):
        switch.off()


def test_a_hub_that_is_not_there(tmp_path):
    """With uhubctl's own words."""
    switch = usb_hub(write_uhubctl(tmp_path), hub="1-9")
    with pytest.raises(PowerControlError, match=r"got 1 and .*No compatible devices detected at location 1-9"):
        switch.off()


def test_uhubctl_is_not_installed(tmp_path):
    """The next step is to install it, and not on the controller by mistake."""
    with pytest.raises(PowerControlError, match=r"could not be started.*install it on the machine beside the device"):
        usb_hub(tmp_path / "uhubctl").state()


@pytest.mark.parametrize("report", ["", "Current status for hub 1-1 [x]", "  Port 1: 0503 power", "Port 2: power"])
def test_a_report_without_the_port(tmp_path, report):
    """Nothing is guessed."""
    program = write_script(tmp_path / "uhubctl", f"#!/bin/sh\necho '{report}'\n")
    with pytest.raises(PowerControlError, match="expected a line `Port 2"):
        usb_hub(program).state()
