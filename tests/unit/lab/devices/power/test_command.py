"""The user's own commands, run as real programs."""

from __future__ import annotations

import shlex

import pytest

from lab.devices.power import build_switch
from lab.errors import PowerControlError
from tests.support.power_devices import write_script


@pytest.fixture
def relay(tmp_path):
    """A program that keeps its state in a file: `relay on`, `relay off`, `relay state`."""
    return write_script(tmp_path / "my relay", """#!/bin/sh
state="$0.state"
case "$1" in
  state) cat "$state" ;;
  *) echo "$1" > "$state" ;;
esac
""")


def command(relay, *, sleep=None, **more):
    quoted = shlex.quote(str(relay))
    pairs = {"kind": "command", "on": f"{quoted} on", "off": f"{quoted} off", "state": f"{quoted} state", **more}
    return build_switch(tuple(pairs.items()), environ={}, sleep=sleep or (lambda _seconds: None))


def test_off_on_and_state(relay):
    """A path with a space is one argument."""
    seen = []
    switch = command(relay, sleep=lambda seconds: seen.append((seconds, switch.state())))
    switch.on()
    assert switch.state() is True
    switch.cycle(2.0)
    assert seen == [(2.0, False)]
    assert switch.state() is True


def test_without_a_state_command_nothing_is_known(relay):
    """None, not a guess."""
    quoted = shlex.quote(str(relay))
    switch = build_switch((("kind", "command"), ("on", f"{quoted} on"), ("off", f"{quoted} off")), environ={})
    switch.off()
    assert switch.state() is None


def test_no_shell_reads_the_command(tmp_path, relay):
    """What a shell would take for a second command is an argument."""
    switch = command(relay, on=f"{shlex.quote(str(relay))} on ; touch {tmp_path}/oops $(touch {tmp_path}/oops)")
    switch.on()
    assert not (tmp_path / "oops").exists()


@pytest.mark.parametrize(("said", "is_on"), [("ON", True), ("1", True), ("true", True), (" off ", False), ("0", False)])
def test_words_for_a_state(relay, said, is_on):
    """What scripts usually print."""
    assert command(relay, state=f"echo '{said}'").state() is is_on


@pytest.mark.parametrize("said", ["", "on off", "maybe", "\x7fon"])
def test_another_word_is_an_error(relay, tmp_path, said):
    """Shown cleaned."""
    script = write_script(tmp_path / "say", f"#!/bin/sh\nprintf '%s' '{said}'\n")
    with pytest.raises(PowerControlError, match="expected on or off from"):
        command(relay, state=str(script)).state()


def test_a_command_that_fails_is_quoted(relay, tmp_path):
    """Exit status and the end of what it said, without terminal escapes; arguments are not shown."""
    script = write_script(tmp_path / "broken", "#!/bin/sh\nprintf '\\033[31mno relay here\\n' >&2\nexit 3\n")
    with pytest.raises(PowerControlError, match=r"expected exit status 0, got 3 and 'no relay here'") as caught:
        command(relay, off=f"{script} --token=hunter2").off()
    assert "hunter2" not in str(caught.value)
    assert caught.value.transient


def test_a_command_that_did_nothing_is_noticed(relay):
    """It ended well, and the state is the old one."""
    switch = command(relay, off="true")
    switch.on()
    with pytest.raises(PowerControlError, match="asked to switch off, and it says it is on"):
        switch.off()


def test_a_command_that_is_not_there(relay):
    """Permanent: a retry installs nothing."""
    with pytest.raises(PowerControlError, match="could not be started") as caught:
        command(relay, on="/nonexistent/relay on").on()
    assert not caught.value.transient
