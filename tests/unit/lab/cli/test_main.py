"""Exit codes and texts of the command line: 0 done, 1 failed, 2 the user's words or files were wrong."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.campaigns import real_services, small_campaign, write_pair

ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture
def lab(lab_home, tmp_path):
    def call(*words):
        environment = {**os.environ, "LAB_HOME": str(lab_home), "PYTHONPATH": str(ROOT)}
        return subprocess.run([sys.executable, "-m", "lab.cli.main", *words], cwd=tmp_path, env=environment,
                              text=True, capture_output=True, check=False)

    return call


@pytest.fixture
def measured(lab_home, tmp_path, lab):
    """A home with one finished campaign."""
    from lab.wiring import queue

    with real_services(lab_home) as services:
        queue.run_campaign(services, small_campaign(write_pair(tmp_path / "pair")), "")
    return lab


GOOD = "name: c\nworkload: digits\ndevices: [local]\ntechniques:\n  int8: [quantize_static]\nprotocol: quick\n"
TYPOS = {
    "unknown key": (GOOD.replace("protocol:", "protocoll:"), "protocoll"),
    "unknown step": (GOOD.replace("quantize_static", "quantise_static"), "quantize_static"),
    "unknown parameter": (GOOD.replace("[quantize_static]", "[{quantize_static: {per_chanel: true}}]"), "per_channel"),
    "wrong type": (GOOD.replace("[quantize_static]", "[{quantize_static: {per_channel: maybe}}]"), "per_channel"),
    "torch after onnx": (GOOD.replace("[quantize_static]", "[quantize_static, prune_channels]"), "prune_channels"),
    "not yaml": ("name: [c\n", "campaign.yaml"),
    "empty": ("", "campaign.yaml"),
}


@pytest.mark.parametrize("name", TYPOS)
def test_a_wrong_campaign_file_is_refused_before_anything_happens(lab, lab_home, tmp_path, name):
    """One message naming file and place, exit code 2, no database entry."""
    text, hint = TYPOS[name]
    (tmp_path / "campaign.yaml").write_text(text)
    done = lab("run", "campaign.yaml")
    assert done.returncode == 2
    assert done.stderr.startswith("Error: ")
    assert "campaign.yaml" in done.stderr
    assert hint in done.stderr
    assert "Traceback" not in done.stderr
    assert json.loads(lab("results", "--json").stdout)["rows"] == []


def test_a_missing_campaign_file_is_named(lab):
    """Exit code 2 and the path."""
    done = lab("run", "nowhere.yaml")
    assert done.returncode == 2
    assert "nowhere.yaml" in done.stderr


def test_an_unregistered_device_is_refused_with_the_command_that_adds_it(lab, tmp_path):
    """Before the workload is trained."""
    (tmp_path / "campaign.yaml").write_text(GOOD)
    done = lab("run", "campaign.yaml")
    assert done.returncode == 2
    assert "local" in done.stderr


@pytest.mark.parametrize(("words", "text"), [
    (("runn",), "Did you mean 'run'?"),
    (("devices", "show", "pi9"), "pi9"),
    (("devices", "check", "pi9"), "pi9"),
    (("devices", "remove", "pi9"), "pi9"),
    (("devices", "add", "pi", "ftp://x"), "ssh://"),
    (("devices", "add", "a/b", "local"), "a/b"),
    (("results", "--campaign", "none"), "none"),
    (("results", "show", "x/y/z"), "x"),
    (("devices", "add", "pi", "local", "--profile", "raspberry-pi4"), "raspberry-pi-4"),
])
def test_wrong_words_exit_with_2_and_say_what_was_expected(lab, words, text):
    """No traceback, ever."""
    done = lab(*words)
    assert done.returncode == 2, done.stderr
    assert text in done.stderr
    assert "Traceback" not in done.stderr


def test_an_empty_lab_says_what_to_do_first(lab):
    """Not an error: there is nothing yet."""
    for words in (("results",), ("devices", "list")):
        done = lab(*words)
        assert done.returncode == 0
        assert "lab demo" in done.stdout


def test_a_device_is_added_checked_shown_and_removed(lab):
    """The life of a registration on this machine."""
    added = lab("devices", "add", "here", "local")
    assert added.returncode == 0, added.stderr
    assert [device["name"] for device in json.loads(lab("devices", "list", "--json").stdout)] == ["here"]
    shown = json.loads(lab("devices", "show", "here", "--json").stdout)
    assert shown["facts"]["cpu_count"] == os.cpu_count()
    assert "can read" in lab("devices", "show", "here").stdout
    assert lab("devices", "check", "here").returncode == 0
    assert lab("devices", "remove", "here").returncode == 0
    assert json.loads(lab("devices", "list", "--json").stdout) == []


def test_results_say_the_same_in_every_form(measured):
    """Table, JSON and CSV come from the same rows."""
    rows = json.loads(measured("results", "--json").stdout)["rows"]
    lines = list(csv.DictReader(io.StringIO(measured("results", "--csv").stdout)))
    table = measured("results").stdout
    for row in rows:
        assert row["technique"] in table
        value = row["figures"]["latency_p50_ns"]["value"]
        assert [float(line["value"]) for line in lines
                if line["technique"] == row["technique"] and line["metric"] == "latency_p50_ns"] == [value]
        assert f"{value * 1e-6:.3g}" in table
    energies = {figure["value"] for row in rows for key, figure in row["figures"].items() if key.startswith("energy")}
    assert energies == {None}


def test_a_device_without_results_is_told_with_those_that_have_some(measured):
    """Not `No results yet`: there are some, of another device."""
    for words in (("--device", "lokal"), ("--device", "lokal", "--json"), ("list", "--device", "lokal", "--csv")):
        done = measured("results", *words)
        assert done.returncode == 2
        assert "'lokal'" in done.stderr
        assert "It was measured on: local." in done.stderr
        assert done.stdout == ""


def test_options_before_the_subcommand_count(measured):
    """`lab results --device X list` is `lab results list --device X`; `show` takes none."""
    assert measured("results", "--device", "lokal", "list").returncode == 2
    assert measured("results", "--device", "local", "--csv", "list").stdout == measured("results", "--csv").stdout
    refused = measured("results", "--device", "local", "show", "small/int8/local")
    assert refused.returncode == 2
    assert "none of the options" in refused.stderr


def test_a_cell_can_be_shown_by_name_and_by_the_beginning_of_its_id(measured):
    """Both lead to the same cell."""
    by_name = measured("results", "show", "small/int8/local")
    assert by_name.returncode == 0, by_name.stderr
    cell = json.loads(measured("results", "--json").stdout)["rows"][1]["cell_id"]
    assert cell in by_name.stdout
    assert measured("results", "show", cell[:10]).stdout == by_name.stdout
    assert "quantize_static" in by_name.stdout


def test_techniques_are_listed_with_their_parameters(lab):
    """What a campaign file can name, and nothing heavy is loaded for it."""
    listed = lab("techniques", "list")
    assert listed.returncode == 0
    for text in ("prune_channels", "quantize_static", "distill", "factorize_svd", "per_channel", "temperature"):
        assert text in listed.stdout
    assert json.loads(lab("techniques", "list", "--json").stdout)


def test_meters_scan_tells_what_would_help(lab):
    """Whether or not a meter is plugged in, the command succeeds."""
    done = lab("meters", "scan")
    assert done.returncode == 0
    assert "meter" in done.stdout.lower()


def test_both_names_of_the_program_are_one_program():
    """`lab` and `joulelab` have the same entry point."""
    import tomllib

    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts["lab"] == scripts["joulelab"] == "lab.cli.main:main"
