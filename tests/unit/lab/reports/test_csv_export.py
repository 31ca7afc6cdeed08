"""Tidy CSV."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.domain.flags import Flag, Severity
from lab.reports.csv_export import COLUMNS, rows_to_csv
from lab.reports.figures import figures_of
from tests.support import result_rows, samples


def read(rows):
    return list(csv.DictReader(io.StringIO(rows_to_csv(rows))))


def line(rows, metric):
    return next(each for each in read(rows) if each["metric"] == metric)


def test_the_columns_are_the_promised_ones():
    assert rows_to_csv([]).strip().split(",") == list(COLUMNS)
    assert COLUMNS == ("campaign", "technique", "device", "seed", "settings", "metric", "value", "unit", "low", "high",
                       "scope", "origin", "verdict", "flags")


def test_one_metric_a_row():
    rows = [result_rows.row(), result_rows.failed_row()]
    assert [each["metric"] for each in read(rows)] == 2 * [figure.key for figure in figures_of(rows[0])]


def test_identity_stands_in_every_row():
    for each in read([result_rows.row()]):
        assert (each["campaign"], each["technique"], each["device"], each["seed"]) == ("first", "int8", "board", "0")
        assert each["settings"] == "onnx_runtime, 1 thread, batch 1, back to back"


def test_an_energy_has_value_unit_interval_scope_and_origin():
    found = line([result_rows.row()], "energy_gross_j")
    assert float(found["value"]) == 0.1 + 0.2
    assert (found["unit"], found["scope"], found["origin"]) == ("J", "module", "simulated")
    assert float(found["low"]) == result_rows.ENERGY.value - 0.025
    assert (found["verdict"], found["flags"]) == ("degraded", "quick_look:degraded")


def test_absent_is_empty_never_zero():
    found = line([result_rows.row()], "energy_net_j")
    assert (found["value"], found["low"], found["high"], found["scope"], found["origin"]) == ("",) * 5


def test_latency_has_no_scope():
    assert line([result_rows.row()], "latency_p50_ns")["scope"] == ""


def test_a_cell_without_result_shows_its_state():
    assert {each["verdict"] for each in read([result_rows.failed_row()])} == {"failed"}


def test_a_comparisons_flags_stand_beside_its_ratio_only():
    few = Flag(code="few_blocks", severity=Severity.DEGRADED, detail="")
    ratio = samples.comparison(result_rows.CELL_ID, result_rows.BASELINE_ID, flags=(few,))
    rows = [result_rows.row(latency_ratio=ratio)]
    assert line(rows, "latency_ratio")["flags"] == "quick_look:degraded few_blocks:degraded"
    assert line(rows, "energy_ratio")["flags"] == "quick_look:degraded"


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)"])
def test_a_name_is_never_a_formula(name):
    assert line([result_rows.row(technique=name)], "macs")["technique"] == f"'{name}"


@given(st.text().filter(lambda text: "\x00" not in text and "\r" not in text))
def test_any_name_survives(name):
    found = line([result_rows.row(campaign=name)], "macs")["campaign"]
    assert found.removeprefix("'") == name.removeprefix("'")


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_any_number_survives_exactly(value):
    rows = [result_rows.row(accuracy_ratio=value)]
    assert float(line(rows, "accuracy_ratio")["value"]) == value
