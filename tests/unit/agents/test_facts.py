"""Runtimes and probes are found in a process of their own, and its end is part of what is told."""

import json
import os
import subprocess
import sys

import pytest

from agents.errors import Refused
from agents.facts import find_facts, folder_times, gather_facts, join_facts
from agents.runtimes import RUNTIMES


def test_every_runtime_and_probe_is_reported_as_there_or_missing(tmp_path):
    facts = join_facts(list(find_facts(tmp_path)), "ended")
    assert facts["runtimes"]["no_op"] == "1"
    assert set(facts["runtimes"]) | set(facts["runtimes_missing"]) == set(RUNTIMES)
    assert {entry["probe"] for entry in facts["unavailable"]} == {"rapl", "hwmon_power", "thermal", "cpufreq"}
    assert facts["channels"] == []


def test_channels_under_a_root_are_listed(tmp_path):
    zone = tmp_path / "sys/class/thermal/thermal_zone0"
    zone.mkdir(parents=True)
    (zone / "type").write_text("cpu-thermal\n")
    (zone / "temp").write_text("41000\n")
    facts = gather_facts(tmp_path)
    assert facts["channels"] == [{"probe": "thermal", "rail": "cpu-thermal", "quantity": "temperature_c",
                                  "kind": "sample"}]


def test_where_modules_come_from_is_told_with_when_it_changed(tmp_path):
    folders = gather_facts(tmp_path)["folders"]
    assert any(folder.endswith("site-packages") and changed_ns for folder, changed_ns in folders.items())
    assert folder_times(folders) == folders
    (tmp_path / "new").mkdir()
    before = folder_times([str(tmp_path), str(tmp_path / "absent")])
    assert before[str(tmp_path / "absent")] is None
    os.utime(tmp_path, (1, 1))
    assert folder_times(before) != before


def test_a_runtime_that_takes_the_process_with_it_is_missing_with_the_reason():
    facts = join_facts([{"runtime": {"no_op": "1"}}], "ended with status -4: Illegal instruction")
    assert facts["runtimes"] == {"no_op": "1"}
    assert "status -4" in facts["runtimes_missing"]["onnx_runtime"]


def test_a_process_that_says_nothing_is_an_error():
    with pytest.raises(Refused, match="ended with status 1: no disk") as caught:
        join_facts([], "ended with status 1: no disk")
    assert caught.value.code == "facts_failed"


def test_too_slow_is_an_error_that_says_so(tmp_path):
    with pytest.raises(Refused, match="did not end within 0 s"):
        gather_facts(tmp_path, timeout_s=0.001)


def test_without_site_packages_numpy_is_not_found_and_that_is_a_fact(bundle, tmp_path):
    done = subprocess.run([sys.executable, "-S", "-E", str(bundle), "worker", "--facts", "--root", str(tmp_path)],
                          stdout=subprocess.PIPE, check=True, timeout=60)
    facts = join_facts([json.loads(line) for line in done.stdout.splitlines()], "ended")
    assert facts["runtimes"] == {"no_op": "1"}
    assert "not installed" in facts["runtimes_missing"]["onnx_runtime"]
