"""SCPI over TCP, to a supply that listens on loopback."""

from __future__ import annotations

import socket

import pytest

from lab.devices.power import build_switch
from lab.devices.power.scpi import ScpiCommands, ScpiSwitch
from lab.errors import PowerControlError
from tests.support.power_devices import Supply, closed_port


def scpi(port, **more):
    pairs = {"kind": "scpi", "host": "127.0.0.1", "port": str(port), **more}
    return build_switch(tuple(pairs.items()), environ={}, sleep=lambda _seconds: None)


def test_off_on_and_state():
    """Each command is followed by the question what came of it."""
    with Supply() as supply:
        switch = scpi(supply.port)
        assert switch.state() is True
        switch.off()
        assert (supply.is_on, switch.state()) == (False, False)
        switch.cycle(1.0)
        assert supply.is_on
    assert supply.heard == ["OUTP?", "OUTP OFF", "OUTP?", "OUTP?", "OUTP OFF", "OUTP?", "OUTP ON", "OUTP?"]


def test_a_supply_with_channels_has_its_own_commands():
    """As Rigol and Siglent write them."""
    with Supply() as supply:
        scpi(supply.port, on="OUTP CH1,ON", off="OUTP CH1,OFF", query="OUTP? CH1?").off()
        assert not supply.is_on


def test_a_supply_that_cannot_be_asked():
    """It is believed, its state is unknown, and the command is read before the link closes."""
    with Supply() as supply:
        switch = scpi(supply.port, query="none")
        switch.off()
        assert switch.state() is None
        assert not supply.is_on
    assert supply.heard == ["OUTP OFF"]


@pytest.mark.parametrize(("answer", "is_on"), [
    (b"1\n", True), (b"on\r\n", True), (b" 0 \r\n", False), (b"OFF\n", False)])
def test_answers_of_different_makers(answer, is_on):
    """Numbers and words, with and without carriage return."""
    with Supply(answers=answer) as supply:
        assert scpi(supply.port).state() is is_on


@pytest.mark.parametrize("answer", [b"\n", b"2\n", b"\xff\xfe\x1b[31m\n", b"1" * 1000])
def test_an_answer_that_is_no_state(answer):
    """Shown cleaned, with the setting to change."""
    with Supply(answers=answer) as supply, pytest.raises(PowerControlError, match="expected 1, 0, ON or OFF") as caught:
        scpi(supply.port).state()
    assert "\x1b" not in str(caught.value)
    assert "set `query`" in str(caught.value)


def test_a_supply_that_does_not_obey_is_noticed():
    """Its overcurrent protection, for instance."""
    with Supply(answers=b"0\n") as supply, pytest.raises(PowerControlError, match="asked to switch on"):
        scpi(supply.port).on()


def test_nobody_there_may_pass():
    """A supply that is off is a reason to try again."""
    with pytest.raises(PowerControlError, match=r"supply 127.0.0.1 port .*got none") as caught:
        scpi(closed_port()).off()
    assert caught.value.transient


def test_a_supply_that_stays_silent_does_not_hold_the_lab():
    """The deadline of the switch ends the wait."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        switch = ScpiSwitch("127.0.0.1", listener.getsockname()[1], ScpiCommands(), lambda _seconds: None,
                            timeout_s=0.2)
        with pytest.raises(PowerControlError, match=r"within 0.2 s, got none") as caught:
            switch.state()
    assert caught.value.transient


def test_a_link_that_ends_without_an_answer():
    """A supply that is in use by somebody else often closes at once."""
    with Supply(answers=b"1") as supply:
        switch = ScpiSwitch("127.0.0.1", supply.port, ScpiCommands(), lambda _seconds: None, timeout_s=0.3)
        with pytest.raises(PowerControlError, match="supply"):
            switch.state()
