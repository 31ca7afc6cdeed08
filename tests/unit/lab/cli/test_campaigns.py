"""`lab campaigns` and the people's side of devices, as typed; the queue is real, nobody works on it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from lab.cli.main import lab as command
from lab.domain.device import Device
from tests.support.campaigns import real_services, write_pair


@pytest.fixture
def lab(lab_home, tmp_path, monkeypatch):
    """Runs one command in this home, with a local device registered."""
    monkeypatch.setenv("LAB_HOME", str(lab_home))
    monkeypatch.delenv("LAB_ENGINE_URL", raising=False)
    with real_services(lab_home):
        pass
    return lambda *words: CliRunner().invoke(command, list(words))


@pytest.fixture
def file(tmp_path):
    """A campaign of one candidate on the local device."""
    path = tmp_path / "campaign.yaml"
    path.write_text(f"name: typed\nworkload: {write_pair(tmp_path / 'pair')}\ndevices: [local]\ntechniques:\n"
                    "  int8: [quantize_static]\nprotocol:\n"
                    "  {preset: quick, window_s: 0.05, warmup_s: 0.01, idle_s: 0.05}\n")
    return str(path)


def test_a_dry_run_prices_the_campaign_and_queues_nothing(lab, file):
    """Cells, artifacts to make, blocks and time; the list of campaigns stays empty."""
    shown = lab("campaigns", "submit", file, "--dry-run")
    assert shown.exit_code == 0, shown.output
    assert "typed: 2 cells" in shown.output
    assert "Artifacts to make: 2. Nothing was queued." in shown.output
    data = json.loads(lab("campaigns", "submit", file, "--dry-run", "--json").output)
    assert data["devices"][0]["blocks_min"] == data["devices"][0]["blocks_max"] == 3
    assert [cell["is_measured"] for cell in data["cells"]] == [False, False]
    assert "No campaigns yet" in lab("campaigns", "list").output


def test_a_dry_run_of_a_pool_prices_the_device_it_would_take(lab, file, lab_home):
    """The pool's own name is no device."""
    with real_services(lab_home) as services:
        services.store.save_device(Device(name="local", url="local", profile="x86-host", pools=("bench",)))
    path = Path(file)
    path.write_text(path.read_text().replace("devices: [local]", "devices: ['pool:bench']"))
    shown = lab("campaigns", "submit", file, "--dry-run", "--json")
    assert shown.exit_code == 0, shown.output
    assert [each["device"] for each in json.loads(shown.output)["devices"]] == ["local"]


def test_a_queued_campaign_says_for_whom_it_waits(lab, file):
    """Submit, list, show: queued, and nobody works."""
    queued = lab("campaigns", "submit", file, "--priority", "3")
    assert queued.exit_code == 0, queued.output
    assert "Nobody works on the queue yet: start `lab worker`" in queued.output
    listed = json.loads(lab("campaigns", "list", "--json").output)
    assert [(each["name"], each["state"], each["priority"]) for each in listed] == [("typed", "queued", 3)]
    shown = json.loads(lab("campaigns", "show", "typed", "--json").output)
    assert (shown["state"], shown["cells_total"], shown["eta_s"]) == ("queued", 0, None)


def test_a_campaign_is_cancelled_resumed_and_given_another_priority(lab, file):
    """Each verb says what it did; retry --only-failed refuses where nothing failed."""
    lab("campaigns", "submit", file)
    assert "has priority 1" in lab("campaigns", "priority", "typed", "1").output
    assert lab("campaigns", "cancel", "typed").output.startswith("Cancelled typed")
    assert "cancelled already" in lab("campaigns", "cancel", "typed").output
    refused = lab("campaigns", "retry", "typed", "--only-failed")
    assert refused.exit_code != 0
    assert "has no failed cells" in str(refused.exception)
    assert "goes on" in lab("campaigns", "resume", "typed").output
    assert json.loads(lab("campaigns", "list", "--json").output)[0]["state"] == "queued"


def test_a_device_is_locked_released_and_the_audit_says_so(lab):
    """For two hours, with a reason; the log is newest first."""
    locked = lab("devices", "lock", "local", "--for", "2h", "--reason", "soldering")
    assert locked.exit_code == 0, locked.output
    assert "UTC" in locked.output
    assert lab("devices", "release", "local").exit_code == 0
    events = json.loads(lab("devices", "log", "local", "--json").output)
    assert [(each["event"], each["detail"]) for each in events][-1] == ("reserved", "soldering")
    assert events[0]["event"] == "freed"
    wrong = lab("devices", "lock", "local", "--for", "soon")
    assert "expected a number with s, min, h or d" in str(wrong.exception)


def test_a_worker_has_one_role(lab):
    """Two roles are two processes."""
    both = lab("worker", "--agent-host", "a", "--compress", "b")
    assert both.exit_code == 2
    assert "two workers" in both.output
