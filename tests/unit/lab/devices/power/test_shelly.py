"""Both protocols of Shelly, spoken to real servers on loopback."""

from __future__ import annotations

import pytest

from lab.devices.power import build_switch
from lab.errors import PowerControlError
from tests.support.power_devices import Fixed, ShellyGen1, ShellyGen2


def shelly(device, password=None, **more):
    pairs = {"kind": "shelly", "url": device.url, **more, **({"password_env": "PLUG"} if password else {})}
    return build_switch(tuple(pairs.items()), environ={"PLUG": password or ""}, sleep=device.requests.append)


@pytest.mark.parametrize("device", [
    ShellyGen1, ShellyGen2, lambda: ShellyGen2(generation=4),
    lambda: ShellyGen1(password="pass word&?"), lambda: ShellyGen2(password="pass word&?"),
])
def test_off_on_and_state(device):
    """With and without password; the generation is found out."""
    with device() as plug:
        switch = shelly(plug, plug.password)
        assert switch.state() is True
        switch.off()
        assert (plug.is_on, switch.state()) == (False, False)
        switch.on()
        assert (plug.is_on, switch.state()) == (True, True)
        assert plug.requests.count("/shelly") == 1


def test_a_first_generation_is_spoken_to_as_documented():
    """The addresses of the reference, and nothing else."""
    with ShellyGen1() as plug:
        shelly(plug).cycle(3.0)
        assert plug.requests == ["/shelly", "/relay/0?turn=off", 3.0, "/relay/0?turn=on"]


def test_a_second_generation_is_asked_what_came_of_it():
    """The answer to Switch.Set tells only what was before."""
    with ShellyGen2() as plug:
        shelly(plug).cycle(3.0)
        assert plug.requests == ["/shelly", "/rpc/Switch.Set?id=0&on=false", "/rpc/Switch.GetStatus?id=0", 3.0,
                                 "/rpc/Switch.Set?id=0&on=true", "/rpc/Switch.GetStatus?id=0"]


@pytest.mark.parametrize("device", [ShellyGen1, ShellyGen2])
def test_a_wrong_password_is_permanent(device):
    """No retry makes it right, and it shows in no text."""
    with device(password="right") as plug, pytest.raises(PowerControlError, match="refused the password") as caught:
        shelly(plug, "hunter2").off()
    assert not caught.value.transient
    assert "hunter2" not in str(caught.value)
    assert plug.is_on


@pytest.mark.parametrize("device", [ShellyGen1, ShellyGen2])
def test_a_missing_password_is_asked_for(device):
    """With the name of the setting."""
    with device(password="right") as plug, pytest.raises(PowerControlError, match=r"wants a password.*password_env"):
        shelly(plug).on()


def test_a_relay_that_does_not_obey_is_noticed():
    """Somebody's timer, or a welded contact."""
    with ShellyGen1(stuck=True) as plug, pytest.raises(
            PowerControlError, match="asked to switch off, and it says it is on"):
        shelly(plug).off()


@pytest.mark.parametrize(("device", "status"), [(ShellyGen1, 404), (ShellyGen2, 500)])
def test_an_output_that_is_not_there(device, status):
    """The status and the next step."""
    with device() as plug, pytest.raises(PowerControlError, match=f"got {status}.*number of the output") as caught:
        shelly(plug, output="7").off()
    assert not caught.value.transient


@pytest.mark.parametrize("body", [{}, {"gen": "2"}, {"gen": True}, {"gen": 0}, {"type": 5}])
def test_something_else_at_the_address(body):
    """Any web server answers something at /shelly."""
    with Fixed(body=body) as plug, pytest.raises(PowerControlError, match="check the address"):
        shelly(plug).state()


@pytest.mark.parametrize("value", [None, "true", 1])
def test_an_answer_without_state(value):
    """A Shelly in roller mode has no relay."""
    with Fixed(body={"type": "SHSW-25", "ison": value}) as plug, pytest.raises(
            PowerControlError, match="expected true or false as 'ison'"):
        shelly(plug).state()
