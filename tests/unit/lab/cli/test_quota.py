"""`lab quota` as typed, and what whoever submits a campaign hears of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner

from lab.cli.main import lab as command
from lab.domain.queue import BlockAttempt
from lab.store.connection import utc_text
from lab.store.store import Store
from tests.support import samples
from tests.support.campaigns import real_services, write_pair


@pytest.fixture
def lab(lab_home, monkeypatch):
    """Runs one command in this home; ada's blocks took an hour of devices until an hour ago."""
    monkeypatch.setenv("LAB_HOME", str(lab_home))
    monkeypatch.delenv("LAB_ENGINE_URL", raising=False)
    with real_services(lab_home) as services:
        measured_an_hour(services.store)
    return lambda *words: CliRunner().invoke(command, list(words))


def measured_an_hour(store):
    ended = datetime.now(UTC) - timedelta(hours=1)
    store.save_campaign("earlier", samples.campaign(owner="ada"), samples.WORKLOAD_SHA256, "")
    store.queue_attempt(BlockAttempt(
        block_id="b1", attempt=1, campaign_id="earlier", device="local", number=1, state="done", expected_ns=None,
        queued_utc=utc_text(ended), started_utc=utc_text(ended - timedelta(hours=1)), ended_utc=utc_text(ended)))


@pytest.fixture
def file(tmp_path):
    """A campaign of ada's."""
    path = tmp_path / "campaign.yaml"
    path.write_text(f"name: typed\nowner: ada\nworkload: {write_pair(tmp_path / 'pair')}\ndevices: [local]\n"
                    "techniques:\n  int8: [quantize_static]\nprotocol: quick\n")
    return str(path)


def test_a_quota_is_set_listed_with_its_use_and_removed(lab):
    """Use is of all campaigns of that owner; the end of the waiting is a time."""
    assert "No quotas: everybody may use what is free" in lab("quota", "list").output
    done = lab("quota", "set", "ada", "--device-hours", "0.5", "--per", "week")
    assert done.output == "ada may use 0.5 device-hours within a week.\n"
    lab("quota", "set", "eve", "--device-hours", "8")
    ada, eve = json.loads(lab("quota", "list", "--json").output)
    assert (ada["owner"], ada["device_s"], ada["period"]) == ("ada", 1800.0, "week")
    assert ada["used_s"] == pytest.approx(3600)
    left = datetime.fromisoformat(ada["free_utc"]) - datetime.now(UTC)
    assert timedelta(days=6, hours=22) < left < timedelta(days=7)
    assert (eve["period"], eve["used_s"], eve["free_utc"]) == ("day", 0, None)
    table = lab("quota", "list").output
    assert [word in table for word in ("ada", "eve", "is free")] == [True] * 3
    assert lab("quota", "remove", "ada").exit_code == 0
    assert "did you mean" in str(lab("quota", "remove", "evee").exception)
    assert [each["owner"] for each in json.loads(lab("quota", "list", "--json").output)] == ["eve"]


@pytest.mark.parametrize("words", [
    ("set", "ada"), ("set", "ada", "--device-hours", "0"), ("set", "ada", "--device-hours", "-1"),
    ("set", "ada", "--device-hours", "nan"), ("set", "ada", "--device-hours", "8", "--per", "month"), ("set", " ",
     "--device-hours", "8"), ("set", "a\nb", "--device-hours", "8"),
])
def test_a_quota_that_makes_no_sense_is_refused(lab, lab_home, words):
    assert lab("quota", *words).exit_code != 0
    with Store.open(lab_home) as store:
        assert store.quotas() == ()


def test_whoever_submits_over_quota_is_told_and_queued_all_the_same(lab, file):
    """A note, no error."""
    lab("quota", "set", "ada", "--device-hours", "0.5")
    queued = lab("campaigns", "submit", file)
    assert queued.exit_code == 0, queued.output
    assert "Queued typed" in queued.output
    assert "ada has used 1 of 0.5 device-hours within a day. Some comes free at " in queued.output
    assert "Until then its blocks wait." in queued.output
    assert json.loads(lab("campaigns", "submit", file, "--json").output)["note"].startswith("ada has used")


def test_nobody_hears_of_a_quota_that_does_not_hold_them_back(lab, file):
    lab("quota", "set", "ada", "--device-hours", "1.5")
    assert "device-hours" not in lab("campaigns", "submit", file).output
    assert json.loads(lab("campaigns", "submit", file, "--json").output)["note"] is None
