"""JSON for other programs: full precision, every power figure with scope and origin."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.domain.metrics import PERCENTILE_METHOD
from lab.domain.result import Interval
from lab.reports.json_export import rows_to_json
from tests.support import result_rows, samples


def read(*rows):
    return json.loads(rows_to_json(rows), parse_constant=pytest.fail)


def test_it_names_its_format():
    assert read() == {"format": "joulelab.results", "version": 1, "percentile_method": PERCENTILE_METHOD, "rows": []}


def test_identity_and_state():
    (row,) = read(result_rows.row())["rows"]
    assert (row["campaign"], row["technique"], row["device"]) == ("first", "int8", "board")
    assert row["profile"] == "test-board"
    assert (row["state"], row["failure"], row["verdict"], row["n_blocks"]) == ("done", None, "degraded", 3)
    assert (row["cell_id"], row["artifact_sha256"]) == (result_rows.CELL_ID, "a" * 64)
    assert (row["preset"], row["measured_utc"], row["memory_kind"]) == ("quick", "2030-01-31T12:00:00Z", "rss")
    assert row["load"] == {"kind": "back_to_back", "rate_hz": None, "deadline_ns": None}


def test_an_energy_carries_everything_about_itself():
    (row,) = read(result_rows.row())["rows"]
    energy = row["figures"]["energy_gross_j"]
    assert (energy["value"], energy["unit"]) == (0.1 + 0.2, "J")
    assert (energy["scope"], energy["origin"]) == ("module", "simulated")
    assert (energy["standard_uncertainty"], energy["coverage_factor"]) == (0.01, 2.5)
    assert float(energy["degrees_of_freedom"]) == math.inf
    assert [line["name"] for line in energy["budget"]] == ["blocks", "gain VDD_IN"]
    assert energy["budget"][1]["degrees_of_freedom"] == "inf"


def test_every_power_figure_that_is_there_has_scope_and_origin():
    (row,) = read(result_rows.row())["rows"]
    for key in ("energy_gross_j", "mean_power_w", "idle_power_w", "energy_ratio"):
        assert (row["figures"][key]["scope"], row["figures"][key]["origin"]) == ("module", "simulated")
    assert "origin" not in row["figures"]["latency_p50_ns"]


def test_flags_are_whole():
    (row,) = read(result_rows.row())["rows"]
    assert row["flags"] == [{"code": "quick_look", "severity": "degraded", "detail": "windows of 0.5 s",
                             "touched_ns": 7}]


def test_comparisons_tell_ratio_interval_and_answer():
    (row,) = read(result_rows.row())["rows"]
    latency, energy = row["comparisons"]["latency_p50_ns"], row["comparisons"]["energy_gross_j"]
    assert (latency["ratio"], latency["low_ratio"], latency["answer"]) == (0.5, 0.45, "better")
    assert latency["baseline_cell_id"] == result_rows.BASELINE_ID
    assert (energy["ratio"], energy["low_ratio"], energy["answer"], energy["n_blocks"]) == (0.8, None, "unknown", 2)


def test_a_failed_cell_tells_why_and_has_null_for_every_number():
    (row,) = read(result_rows.failed_row())["rows"]
    assert (row["state"], row["failure"]) == ("failed", "step 1: no such layer")
    assert {figure["value"] for figure in row["figures"].values()} == {None}
    assert row["comparisons"] == {"latency_p50_ns": None, "energy_gross_j": None}
    assert row["flags"] == []


def test_a_ratio_of_nothing_is_null():
    nothing = samples.comparison("a", "b", ratio=math.nan, low_ratio=None, high_ratio=None)
    (row,) = read(result_rows.row(latency_ratio=nothing))["rows"]
    assert row["comparisons"]["latency_p50_ns"] is None
    assert row["figures"]["latency_ratio"]["value"] is None


@given(st.floats(allow_nan=False), st.floats(allow_nan=False))
def test_any_number_survives_exactly(value, low):
    result = samples.result("a", latency_p50_ns=Interval(value=value, low=low, high=None))
    (row,) = read(result_rows.row(result=result))["rows"]
    assert float(row["figures"]["latency_p50_ns"]["value"]) == value
    assert float(row["figures"]["latency_p50_ns"]["low"]) == low


@given(st.text())
def test_any_text_survives(text):
    assert read(result_rows.row(failure=text))["rows"][0]["failure"] == text
