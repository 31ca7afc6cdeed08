"""A user's command on a real OpenSSH server: how it ended, or that the device went away meanwhile."""

from __future__ import annotations

import pytest

from lab.errors import ConnectFailed, HostKeyError, TransportTimeout
from lab.transports.base import RunsCommands
from lab.transports.local import LocalTransport
from lab.transports.scripted import ScriptedTransport
from lab.transports.ssh import SshTransport
from lab.transports.ssh_auth import log_in
from lab.transports.ssh_channel import start_command
from lab.transports.ssh_command import run_to_end
from lab.transports.ssh_connect import connect
from lab.transports.ssh_target import resolve
from tests.conftest import need
from tests.support.sshd import AVAILABLE, Sshd, free_port

LONG_S = 30.0
SHORT_S = 0.3


@pytest.fixture(scope="module")
def sshd(tmp_path_factory):
    need("sshd", AVAILABLE)
    with Sshd(tmp_path_factory.mktemp("sshd")) as server:
        yield server


@pytest.fixture
def transport(sshd):
    return SshTransport(sshd.pinned_target())


def started(sshd, command):
    """A stream on which the command has begun, as `SshTransport.run_command` makes it."""
    resolved = resolve(sshd.pinned_target())
    connection = connect(resolved)
    log_in(connection, resolved)
    return start_command(connection, command, resolved.where, 10.0)


def test_only_what_reaches_a_machine_of_its_own_runs_commands(transport, tmp_path):
    """A controller must not reboot itself by mistake."""
    assert isinstance(transport, RunsCommands)
    assert not isinstance(LocalTransport("python3", tmp_path), RunsCommands)
    assert not isinstance(ScriptedTransport(lambda _: None), RunsCommands)


@pytest.mark.parametrize(("command", "status", "printed"), [
    ("true", 0, ""), ("echo rebooting soon", 0, "rebooting soon"), ("exit 3", 3, ""),
    ("echo out; echo 'sudo: a password is required' >&2; exit 1", 1, "sudo: a password is required"),
    ("cat; exit 5", 5, ""),  # nobody types anything
    ("printf 'a\\033[2Jb'", 0, "ab"),  # nor draws on the user's terminal
    ("exec >&- 2>&-; sleep 0.2; exit 4", 4, ""),  # silent before its end
])
def test_a_command_ends_with_its_status_and_what_it_said(transport, command, status, printed):
    end = transport.run_command(command, LONG_S)
    assert (end.status, end.printed, end.is_gone) == (status, printed, False)


def test_much_output_is_read_and_its_end_kept(transport):
    end = transport.run_command("head -c 3000000 /dev/zero | tr '\\0' x; echo the end", LONG_S)
    assert end.status == 0
    assert end.printed.endswith("xxxthe end")
    assert len(end.printed) < 1000


@pytest.mark.parametrize("command", ["kill -9 $PPID; sleep 9", "echo bye; exec kill -9 $PPID"])
def test_a_link_that_ends_meanwhile_is_an_end_without_a_status(transport, command):
    """As of a device that goes down."""
    end = transport.run_command(command, LONG_S, gone_within_s=LONG_S)
    assert (end.status, end.is_gone) == (None, True)


def test_a_command_that_was_killed_on_a_device_that_stays_is_told_from_that(transport):
    end = transport.run_command("kill -9 $$", LONG_S)
    assert (end.status, end.is_gone) == (None, False)


def test_a_device_that_falls_silent_is_gone(sshd):
    """It lost its power without a word, so nothing ever closes the connection."""
    try:
        end = run_to_end(started(sshd, "kill -STOP $PPID; sleep 9"), "me@pi", SHORT_S, answer_s=SHORT_S)
        assert (end.status, end.is_gone) == (None, True)
    finally:
        sshd.kill_sessions()


def test_a_command_that_hangs_on_a_device_that_answers_is_an_error(transport):
    with pytest.raises(TransportTimeout, match=r"did not end within 0\.3 s; does it wait for a password\? it printed "
                                               "'Password:'"):
        transport.run_command("printf Password: >&2; sleep 9", SHORT_S)


def test_a_device_is_watched_until_it_has_gone(transport, tmp_path):
    """`systemctl reboot` ends at once with 0; the link is cut a little later."""
    end = transport.run_command(f"(sleep 0.2; touch {tmp_path}/down; kill -9 $PPID) >/dev/null 2>&1 & exit 0", LONG_S,
                                gone_within_s=LONG_S)
    assert (end.status, end.is_gone) == (0, True)
    assert (tmp_path / "down").exists()


def test_what_cannot_be_reached_or_trusted_runs_nothing(sshd, tmp_path):
    command = f"touch {tmp_path}/done"
    with pytest.raises(HostKeyError, match="not known here"):
        SshTransport(sshd.target(known_hosts=tmp_path / "pins")).run_command(command, LONG_S)
    with pytest.raises(ConnectFailed, match="connection refused"):
        SshTransport(sshd.pinned_target(port=free_port())).run_command(command, LONG_S)
    assert not (tmp_path / "done").exists()
