"""Tasmota's web commands, spoken to a real server on loopback."""

from __future__ import annotations

import pytest

from lab.devices.power import build_switch
from lab.errors import PowerControlError
from tests.support.power_devices import Fixed, Tasmota


def tasmota(device, password=None, **more):
    pairs = {"kind": "tasmota", "url": device.url, **more, **({"password_env": "PLUG"} if password else {})}
    return build_switch(tuple(pairs.items()), environ={"PLUG": password or ""}, sleep=device.requests.append)


@pytest.mark.parametrize(("numbered", "output"), [(False, 1), (True, 1), (True, 2)])
def test_off_on_and_state(numbered, output):
    """One relay answers POWER, several answer POWER1 and POWER2."""
    with Tasmota(numbered=numbered) as plug:
        switch = tasmota(plug, output=str(output))
        assert switch.state() is True
        switch.off()
        assert switch.state() is False
        assert [number for number, is_on in plug.states.items() if not is_on] == [output]
        switch.on()
        assert plug.states == {1: True, 2: True}


def test_commands_are_sent_as_documented():
    """The addresses of the documentation."""
    with Tasmota() as plug:
        tasmota(plug).cycle(2.0)
        assert plug.requests == ["/cm?cmnd=Power%20Off", 2.0, "/cm?cmnd=Power%20On"]


def test_a_password_of_any_characters_arrives():
    """It travels in the address, so it is quoted."""
    with Tasmota(password="a&b=c d%é") as plug:
        tasmota(plug, "a&b=c d%é").off()
        assert not plug.states[1]


@pytest.mark.parametrize("status", [200, 401])
def test_a_wrong_password_is_permanent_and_not_shown(status):
    """Older firmware refuses with status 200."""
    with Tasmota(password="right", status=status) as plug:
        with pytest.raises(PowerControlError, match="refused the password") as caught:
            tasmota(plug, "hunter2").off()
        with pytest.raises(PowerControlError, match="wants a password"):
            tasmota(plug).off()
    assert "hunter2" not in str(caught.value)
    assert not caught.value.transient
    assert plug.states[1]


def test_an_output_that_is_not_there():
    """Tasmota answers an unknown command with status 200."""
    with Tasmota() as plug, pytest.raises(PowerControlError, match=r"expected ON or OFF as 'POWER2', got .*Unknown"):
        tasmota(plug, output="2").off()


@pytest.mark.parametrize("body", [{}, {"POWER": 1}, {"POWER": "on"}, {"POWER": None}, {"POWER2": "ON"}])
def test_an_answer_without_state(body):
    """Nothing is taken for ON but ON."""
    with Fixed(body=body) as plug, pytest.raises(PowerControlError, match="expected ON or OFF"):
        tasmota(plug).state()


def test_a_relay_that_does_not_obey_is_noticed():
    """Power On is answered with OFF, for instance by an interlock."""
    with Fixed(body={"POWER": "OFF"}) as plug, pytest.raises(PowerControlError, match="asked to switch on"):
        tasmota(plug).on()
