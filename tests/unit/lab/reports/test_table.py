"""Plain tables."""

import pytest

from lab.domain.device import Origin, Scope
from lab.domain.flags import Verdict
from lab.domain.metrics import METRICS
from lab.reports.table import ABSENT, DEFAULT_KEYS, results_table
from tests.support import result_rows, samples


def shown(row, key):
    table = results_table([row], (key,))
    return table.cells[0][3]


def notes(row):
    return results_table([row]).cells[0][-1]


def test_columns_name_their_unit():
    assert results_table([]).columns == (
        "Technique", "Device", "Settings", "Accuracy (%)", "Artifact size (kB)", "Latency p50 (ms)",
        "Latency vs. baseline", "Energy per inference (gross) (mJ)", "Energy vs. baseline", "Peak memory (MB)", "Notes")


def test_every_line_is_as_long_as_the_columns():
    table = results_table([result_rows.row(), result_rows.failed_row()])
    assert {len(line) for line in table.cells} == {len(table.columns)}


@pytest.mark.parametrize("key", [*METRICS, "latency_ratio", "energy_ratio"])
def test_every_metric_can_be_a_column_and_be_absent(key):
    assert shown(result_rows.failed_row(), key) == ABSENT


@pytest.mark.parametrize(("key", "text"), [
    ("accuracy_ratio", "97.5"), ("size_bytes", "12.35"), ("latency_p50_ns", "1.5 [1.4, 1.6]"),
    ("latency_p99_ns", "2"), ("memory_peak_bytes", "70"), ("energy_gross_j", "300 [275, 325] (module, simulated)"),
    ("mean_power_w", "2 (module, simulated)"), ("latency_ratio", "×0.5 [0.45, 0.55] better"),
    ("energy_ratio", "×0.8 (unknown)")])
def test_values_for_people(key, text):
    assert shown(result_rows.row(), key) == text


def test_measured_power_says_only_what_it_covers():
    measured = samples.result("a", mean_power_w=2.0, power_scope=Scope.PACKAGE, power_origin=Origin.MEASURED)
    assert shown(result_rows.row(result=measured), "mean_power_w") == "2 (package)"


def test_power_of_unknown_scope_and_origin_says_so():
    unknown = result_rows.row(result=samples.result("a", mean_power_w=2.0))
    assert shown(unknown, "mean_power_w") == "2 (scope unknown, origin unknown)"


@pytest.mark.parametrize(("row", "text"), [
    (result_rows.row(), "quick_look"),
    (result_rows.failed_row(), "failed: step 1: no such layer"),
    (result_rows.row(result=None, state="pending"), "pending"),
    (result_rows.row(result=samples.result("a", verdict=Verdict.VALID)), "valid"),
])
def test_notes(row, text):
    assert notes(row) == text


def test_a_seed_is_named_where_it_is_not_the_first():
    assert results_table([result_rows.row(seed=3)]).cells[0][0] == "int8, seed 3"
    assert results_table([result_rows.row()]).cells[0][0] == "int8"


def test_default_columns_are_known():
    assert len(results_table([], DEFAULT_KEYS).columns) == len(DEFAULT_KEYS) + 4
