"""From settings to a switch: every mistake is named before anything is contacted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.devices.power import SWITCHES, build_switch, check_settings
from lab.errors import ConfigError

GOOD = {
    "command": {"on": "true", "off": "false"},
    "scpi": {"host": "psu.local"},
    "shelly": {"url": "192.168.1.20"},
    "tasmota": {"url": "http://plug.local/"},
    "usb_hub": {"hub": "1-1.4", "port": "2"},
}


def settings(kind, **more):
    return tuple({"kind": kind, **GOOD.get(kind, {}), **more}.items())


def test_every_kind_has_an_example_here():
    """A new kind needs its settings checked too."""
    assert set(GOOD) == set(SWITCHES)


@pytest.mark.parametrize("kind", sorted(GOOD))
def test_every_kind_is_built_without_contacting_anything(kind):
    """No network, no program: the addresses lead nowhere."""
    switch = build_switch(settings(kind), environ={})
    check_settings(settings(kind))
    assert switch.where
    assert all(callable(getattr(switch, name)) for name in ("off", "on", "state", "cycle"))


@pytest.mark.parametrize("kind", sorted(GOOD))
def test_every_missing_key_is_named_with_its_meaning(kind):
    """One error for all that is missing."""
    with pytest.raises(ConfigError, match="missing") as caught:
        build_switch((("kind", kind),), environ={})
    assert all(f"{key} (" in str(caught.value) for key in GOOD[kind])


@pytest.mark.parametrize(("pairs", "words"), [
    ((), ["missing kind", "shelly", "usb_hub"]),
    ((("kind", "shely"),), ["unknown kind 'shely'", "did you mean 'shelly'", "tasmota"]),
    (settings("shelly", outptu="1"), ["unknown key 'outptu'", "did you mean 'output'"]),
    (settings("shelly", password="hunter2"), ["unknown key 'password'", "password_env"]),
    ((("kind", "scpi"), ("host", "a"), ("host", "b")), ["host is given twice"]),
    (settings("shelly", url=" "), ["missing url"]),
    (settings("shelly", url="ftp://plug"), ["url", "https", "'ftp://plug'"]),
    (settings("shelly", url="file:///etc/passwd"), ["url"]),
    (settings("shelly", url="http://plug/relay/0"), ["url"]),
    (settings("shelly", url="http://plug?x=1"), ["url"]),
    (settings("shelly", url="http://plug:99999"), ["url"]),
    (settings("shelly", url="http://[::1"), ["url"]),
    (settings("shelly", url="plug\nlocal"), ["url", "printable"]),
    (settings("shelly", output="-1"), ["output", "from 0 to 99", "'-1'"]),
    (settings("shelly", output="²"), ["output"]),
    (settings("tasmota", output="0"), ["output", "from 1 to 32"]),
    (settings("usb_hub", hub="-a on"), ["hub", "1-1.4"]),
    (settings("usb_hub", port="all"), ["port", "from 1 to 14"]),
    (settings("usb_hub", program="'uhubctl"), ["program", "quotes"]),
    (settings("scpi", host="psu:5025"), ["host", "without port"]),
    (settings("scpi", port="70000"), ["port"]),
    (settings("scpi", on=""), ["on", "SCPI command"]),
    (settings("scpi", on="OUTP ON\nOUTP?"), ["on", "printable"]),
    (settings("command", on="'"), ["on", "quotes"]),
    (settings("command", state=" "), ["state", "a command"]),
    (settings("command", on="''"), ["on", "a command"]),
    (settings("command", timeout_s="0.5"), ["timeout_s", "from 1 to 300"]),
])
def test_wrong_settings_say_what_is_wrong(pairs, words):
    """The kind, the key, what it takes and what was given."""
    for use in (check_settings, lambda given: build_switch(given, environ={})):
        with pytest.raises(ConfigError, match=r"^power") as caught:
            use(pairs)
        assert [word for word in words if word not in str(caught.value)] == []


@pytest.mark.parametrize("kind", ["shelly", "tasmota"])
def test_a_password_comes_from_the_environment_and_shows_nowhere(kind):
    """Settings are stored and exported, so they name only the variable."""
    switch = build_switch(settings(kind, password_env="PLUG_PASSWORD"), environ={"PLUG_PASSWORD": "hunter2"})
    assert "hunter2" not in f"{switch.where}{switch!r}{vars(switch)}"


def test_a_password_variable_that_is_not_set_is_an_error_only_beside_the_device():
    """The controller may check settings of a device whose password it does not know."""
    pairs = settings("shelly", password_env="PLUG_PASSWORD")
    check_settings(pairs)
    with pytest.raises(ConfigError, match=r"PLUG_PASSWORD is not set; set it"):
        build_switch(pairs, environ={})


def test_a_password_in_the_wrong_place_is_not_repeated():
    """Errors end up in logs."""
    for pairs in (settings("shelly", password_env="hunter-2!"), settings("tasmota", url="http://admin:hunter-2!@plug")):
        with pytest.raises(ConfigError, match="password_env") as caught:
            check_settings(pairs)
        assert "hunter" not in str(caught.value)


@given(st.sampled_from(sorted(GOOD)), st.dictionaries(st.sampled_from(
    ["url", "host", "hub", "port", "output", "on", "off", "state", "program", "query", "password_env", "user",
     "timeout_s"]), st.text()))
def test_any_settings_are_a_switch_or_a_config_error(kind, more):
    """No other error, whatever somebody types."""
    try:
        check_settings(settings(kind, **more))
    except ConfigError as error:
        text = str(error)
    else:
        text = "power: fine"
    assert text.startswith("power")
