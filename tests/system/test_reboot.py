"""A device is rebooted by its own command, on a real OpenSSH server: as typed, and by the ladder.

Part of `make test` wherever an OpenSSH server is installed. The command only says that it was carried out, and cuts
the link as a reboot does.
"""

from __future__ import annotations

import getpass
import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from lab.campaigns.actions import act
from lab.campaigns.calls import Call
from lab.campaigns.recovery import error_outcome, outcome_from_json
from lab.campaigns.setbacks import after_failed_device
from lab.cli.main import lab as command
from lab.errors import ConnectFailed, DeviceBusy
from lab.transports.ssh import fetch_host_key
from lab.wiring import queue
from tests.conftest import need
from tests.support.campaigns import real_services, small_campaign
from tests.support.sshd import AVAILABLE, KEYGEN, Sshd

pytestmark = pytest.mark.timeout(300)
REBOOT = 'echo "$SSH_CONNECTION" > "$HOME/rebooted"; kill -9 $PPID'


@pytest.fixture
def server(tmp_path):
    need("sshd", AVAILABLE)
    with Sshd(tmp_path / "server") as running:
        yield running


@pytest.fixture
def lab(server, lab_home, tmp_path, monkeypatch):
    """Types a command; the user's SSH configuration reaches the server as `bench`."""
    ssh = tmp_path / "user" / ".ssh"
    ssh.mkdir(mode=0o700, parents=True)
    (ssh / "config").write_text(
        f"Host bench\n  HostName 127.0.0.1\n  Port {server.port}\n  User {getpass.getuser()}\n"
        f"  IdentityFile {server.user_key}\n  IdentitiesOnly yes\n")
    monkeypatch.setenv("HOME", str(ssh.parent))
    monkeypatch.setenv("LAB_HOME", str(lab_home))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    monkeypatch.delenv("LAB_ENGINE_URL", raising=False)
    return lambda *words: CliRunner().invoke(command, list(words))


@pytest.fixture
def added(lab, server):
    """Adds the server as device `bench`, with a reboot command or without."""
    def add(reboot=REBOOT):
        words = ["--reboot", reboot] if reboot else []
        done = lab("devices", "add", "bench", "ssh://bench", "--python", sys.executable, "--accept-key",
                   fetch_host_key(server.target()).fingerprint, *words)
        assert done.exit_code == 0, done.exception

    return add


def test_a_device_is_rebooted_by_its_own_command_on_itself(lab, added, server):
    """It is shown, carried out there, and in the audit."""
    added()
    assert json.loads(lab("devices", "list", "--json").output)[0]["reboot"] == REBOOT
    assert "rebooted by" in lab("devices", "show", "bench").output
    done = lab("devices", "reboot", "bench")
    assert (done.exit_code, done.output) == (0, "bench reboots.\n")
    assert f"127.0.0.1 {server.port}" in (server.home / "rebooted").read_text()
    log = json.loads(lab("devices", "log", "bench", "--json").output)
    assert (log[0]["event"], log[0]["detail"]) == ("recovered", "rebooted by a person")


def test_a_device_whose_command_fails_or_that_has_none_says_so(lab, added):
    """Exit code 1 with what the command said, 2 where nobody gave one; neither is in the audit."""
    added("echo 'Interactive authentication required.' >&2; exit 1")
    failed = lab("devices", "reboot", "bench")
    assert "got 1 and 'Interactive authentication required.'" in str(failed.exception)
    added(None)
    assert "lab devices add bench ssh://bench --reboot COMMAND" in str(lab("devices", "reboot", "bench").exception)
    assert json.loads(lab("devices", "log", "bench", "--json").output) == []


def test_the_ladder_has_a_device_reboot_itself(lab, added, server, lab_home):
    """What the third failure puts into the queue is carried out by the worker beside the device."""
    added()
    with real_services(lab_home) as services:
        with queue.open_engine(services) as engine:
            campaign_id = engine.submit(small_campaign("x", devices=("bench",)), "")
        again = Call(name="block", id="again", queue="device", device="bench")
        outcome = outcome_from_json(error_outcome(ConnectFailed("nobody there")))
        calls = [after_failed_device(campaign_id, "bench", [], "measure", outcome, again, services) for _ in range(4)]
        assert [[call.name for call in rung] for rung in calls] == [["block"], ["block"], ["action", "block"], []]
        assert not (server.home / "rebooted").exists()
        verb, *args = json.loads(json.dumps(calls[2][0].args))
        assert act(verb, args, services.host)["is_gone"]
        assert (server.home / "rebooted").exists()


def test_a_device_at_which_another_lab_measures_is_not_rebooted_but_can_be_taken(lab, added, server, lab_home):
    """Kicking ends the other lab's lease on the device itself, by name, and then nothing stands in the way."""
    added()
    with real_services(lab_home) as services:
        device = services.store.device("bench")
        profile, _ = services.profile(device.profile)
        from lab.devices.session import AgentSession

        with AgentSession.open(services.transport(device, profile), services.bundle()) as eve:
            fence = eve.acquire_lease("eve@elsewhere", 3600)
            assert isinstance(lab("devices", "reboot", "bench").exception, DeviceBusy)
            assert not (server.home / "rebooted").exists()
            kicked = lab("devices", "release", "bench", "--kick")
            assert kicked.output == "bench is free. The device was taken from eve@elsewhere.\n"
            with pytest.raises(Exception, match="fenced"):
                eve.renew_lease(fence, 60)
        grant = services.store.grants("bench")[0]
        assert (grant.event, grant.holder, grant.fence) == ("kicked", services.owner, fence + 1)
        assert "eve@elsewhere" in grant.detail
    assert lab("devices", "release", "bench", "--kick").output == "bench is free.\n"
    assert lab("devices", "reboot", "bench").exit_code == 0


def test_the_fingerprint_is_that_of_the_host_and_held_against_what_is_known(lab, added, server):
    """Nothing is accepted by looking; the printed command accepts what was seen."""
    added(None)
    seen = json.loads(lab("devices", "fingerprint", "bench", "--json").output)
    shown = subprocess.run([KEYGEN, "-lf", f"{server.folder}/host_ed25519.pub"], capture_output=True, text=True,
                           check=True).stdout
    assert (seen["fingerprint"], seen["type"], seen["standing"]) == (shown.split()[1], "ssh-ed25519", "known")
    assert "It is the key that is known there." in lab("devices", "fingerprint", "bench").output
    server.replace_host_key("ecdsa")
    changed = lab("devices", "fingerprint", "bench").output
    assert "bench presents ecdsa-sha2-nistp256 SHA256:" in changed
    assert "ANOTHER key is known there" in changed
    assert "`ssh-keygen -lf /etc/ssh/ssh_host_ecdsa_key.pub`" in changed
    assert "`lab devices add bench ssh://bench --accept-key SHA256:" in changed
    added(None)
    assert json.loads(lab("devices", "fingerprint", "bench", "--json").output)["standing"] == "known"
