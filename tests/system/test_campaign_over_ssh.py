"""A user's afternoon: register a host over SSH, run a campaign there and here, read the results. All real.

Part of `make test` wherever an OpenSSH server is installed: it is the main job.
"""

from __future__ import annotations

import getpass
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import need
from tests.support.campaigns import write_pair
from tests.support.sshd import AVAILABLE, Sshd

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.timeout(300)


class User:
    """Types commands; their home, SSH configuration and LAB_HOME are in one folder."""

    def __init__(self, folder, server):
        self.folder = folder
        ssh = folder / ".ssh"
        ssh.mkdir(mode=0o700, parents=True)
        (ssh / "config").write_text(
            f"Host bench\n  HostName 127.0.0.1\n  Port {server.port}\n  User {getpass.getuser()}\n"
            f"  IdentityFile {server.user_key}\n  IdentitiesOnly yes\n")
        self.environment = {**os.environ, "HOME": str(folder), "LAB_HOME": str(folder / "lab-home"),
                            "PYTHONPATH": str(ROOT)}
        self.environment.pop("SSH_AUTH_SOCK", None)

    def lab(self, *words):
        return subprocess.run([sys.executable, "-m", "lab.cli.main", *words], cwd=self.folder, text=True,
                              env=self.environment, capture_output=True, check=False)

    def results(self):
        done = self.lab("results", "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)["rows"]


@pytest.fixture
def server(tmp_path):
    need("sshd", AVAILABLE)
    with Sshd(tmp_path / "server") as running:
        yield running


@pytest.fixture
def user(tmp_path, server):
    return User(tmp_path / "user", server)


@pytest.fixture
def registered(user):
    """The user after accepting the host's key."""
    refused = user.lab("devices", "add", "bench", "ssh://bench", "--python", sys.executable)
    accept = re.search(r"--accept-key (SHA256:\S+?)[`'.\s]", refused.stderr + " ")
    assert accept, refused.stderr
    added = user.lab("devices", "add", "bench", "ssh://bench", "--python", sys.executable, "--accept-key",
                     accept.group(1))
    assert added.returncode == 0, added.stderr
    return user


def write_campaign(user, *, devices="[bench, local]", extra=""):
    spec = write_pair(user.folder / "pair")
    file = user.folder / "campaign.yaml"
    file.write_text(
        f"name: over-ssh\nworkload: {spec}\ndevices: {devices}\ntechniques:\n  int8: [quantize_static]\n"
        f"protocol: {{preset: quick, window_s: 0.05, warmup_s: 0.01, idle_s: 0.05}}\n{extra}")
    return file


def test_an_unknown_host_key_is_refused_with_the_way_to_accept_it(user, server):
    """Nothing is stored before the fingerprint was accepted, and the printed command is the right one."""
    refused = user.lab("devices", "add", "bench", "ssh://bench")
    assert refused.returncode == 1
    assert "lab devices add" in refused.stderr
    key = (server.folder / "host_ed25519.pub").read_text()
    known = subprocess.run(["ssh-keygen", "-lf", "-"], input=key, capture_output=True, text=True, check=True).stdout
    assert known.split()[1] in refused.stderr
    assert "No devices yet" in user.lab("devices", "list").stdout


def test_a_campaign_runs_there_and_here_and_is_not_repeated(registered):
    """Both devices are measured; the second call measures nothing and prints the same numbers."""
    registered.lab("devices", "add", "local", "local")
    file = write_campaign(registered)
    first = registered.lab("run", str(file))
    assert first.returncode == 0, first.stderr
    assert "over-ssh on bench" in first.stdout
    rows = registered.results()
    assert [(row["device"], row["technique"]) for row in rows] == [
        ("bench", "baseline"), ("bench", "int8"), ("local", "baseline"), ("local", "int8")]
    for row in rows:
        assert row["state"] == "done"
        assert row["n_blocks"] == 3
        assert row["figures"]["latency_p50_ns"]["value"] > 0
        assert row["figures"]["energy_gross_j"]["value"] is None
        assert "no_power_source" in {flag["code"] for flag in row["flags"]}
    second = registered.lab("run", str(file))
    assert second.returncode == 0
    assert "measure" not in second.stderr
    assert registered.results() == rows


def test_check_says_what_the_host_can_and_cannot_measure(registered):
    """The doctor over SSH: runtime there, power not; exit code 0 since nothing is broken."""
    checked = registered.lab("devices", "check", "bench", "--json")
    assert checked.returncode == 0, checked.stdout
    lines = {line["name"]: line for line in json.loads(checked.stdout)}
    assert lines["runtime"]["status"] == "ok"
    assert "onnx_runtime" in lines["runtime"]["text"]
    assert lines["power"]["status"] in {"ok", "warn"}


def test_a_changed_host_key_stops_that_device_only(registered, server):
    """The campaign ends as partial: the changed host is not spoken to, this machine is measured."""
    registered.lab("devices", "add", "local", "local")
    server.replace_host_key()
    done = registered.lab("run", str(write_campaign(registered)))
    assert done.returncode == 1
    rows = registered.results()
    assert {row["state"] for row in rows if row["device"] == "bench"} == {"failed"}
    assert all("changed" in row["failure"].lower() for row in rows if row["device"] == "bench")
    assert {row["state"] for row in rows if row["device"] == "local"} == {"done"}


def test_a_wrong_user_is_named(registered, server):
    """Permission denied says who was refused where, and stores nothing."""
    refused = registered.lab("devices", "add", "other", f"ssh://nosuchuser@127.0.0.1:{server.port}")
    assert refused.returncode == 1
    assert "nosuchuser" in refused.stderr
    assert "other" not in registered.lab("devices", "list").stdout


def test_a_password_in_the_address_is_refused(user):
    """It would end in the database and in the shell's history."""
    refused = user.lab("devices", "add", "pi", "ssh://pi:secret@127.0.0.1")
    assert refused.returncode == 2
    assert "password" in refused.stderr.lower()
    assert "secret" not in refused.stderr
