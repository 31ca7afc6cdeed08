"""Figures are read from rows without a guess and printed through the metrics table."""

import math
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.board import figures
from lab.domain.device import Origin, Scope
from lab.domain.flags import Severity
from lab.domain.metrics import METRICS
from lab.domain.result import Interval, Quantity, Result, ResultRow
from lab.reports.figures import figures_of
from tests.support.board_fixture import comparison, example_rows, flag, result, result_row

UNMEASURED = result_row(result=None, state="failed", failure="no link")


@pytest.mark.parametrize("key", METRICS)
def test_every_metric_is_a_field_of_the_row_or_of_its_result(key):
    owner = ResultRow if key in figures.ARTIFACT_KEYS else Result

    assert key in {field.name for field in fields(owner)}
    assert figures.figure(result_row(), key) is not None


@pytest.mark.parametrize("key", METRICS)
def test_every_printed_figure_is_the_metrics_tables_own(key):
    for row in example_rows():
        assert figures.show(row, key) == METRICS[key].show(figures.figure(row, key))


@pytest.mark.parametrize("key", sorted(set(METRICS) - figures.ARTIFACT_KEYS))
def test_what_was_not_measured_is_a_dash_and_never_zero(key):
    assert figures.figure(UNMEASURED, key) is None
    assert figures.show(UNMEASURED, key) == "–"
    assert figures.bounds(UNMEASURED, key) is None
    assert figures.absent_reason(UNMEASURED, key) == "not measured"


def test_the_artifacts_figures_stay_where_measuring_failed():
    assert figures.figure(UNMEASURED, "size_bytes") == 149_874
    assert figures.show(UNMEASURED, "accuracy_ratio") == "97.22"


@given(st.floats(1e-6, 1e3), st.floats(0, 1), st.floats(1, 5))
def test_the_bounds_of_a_quantity_are_its_expanded_uncertainty_around_the_value(value, uncertainty, factor):
    quantity = Quantity(value=value, standard_uncertainty=uncertainty, coverage_factor=factor, degrees_of_freedom=5.0)
    low, high = figures.bounds(result_row(result=result(energy_gross_j=quantity)), "energy_gross_j")

    assert (low + high) / 2 == pytest.approx(value)
    assert high - low == pytest.approx(2 * uncertainty * factor, abs=1e-9)


@pytest.mark.parametrize("factor", [None, math.inf])
def test_an_uncertainty_nobody_knows_gives_no_bounds(factor):
    quantity = Quantity(value=1.0, standard_uncertainty=0.1, coverage_factor=factor, degrees_of_freedom=1.0)

    assert figures.bounds(result_row(result=result(energy_gross_j=quantity)), "energy_gross_j") is None


def test_an_interval_with_one_end_is_no_interval():
    half = Interval(value=2e6, low=1e6, high=None)

    assert figures.bounds(result_row(result=result(latency_p50_ns=half)), "latency_p50_ns") is None


def test_intervals_print_as_ends_and_uncertainties_as_half_widths():
    row = result_row(result=result(latency_p50_ns=Interval(value=2e6, low=1.5e6, high=2.5e6), energy_gross_j=Quantity(
        value=2e-3, standard_uncertainty=1e-4, coverage_factor=2.0, degrees_of_freedom=9.0)))

    assert figures.show_bounds(row, "latency_p50_ns") == "1.5 – 2.5"
    assert figures.show_bounds(row, "energy_gross_j") == "± 0.2"
    assert figures.show_bounds(row, "throughput_hz") is None


@pytest.mark.parametrize("key", METRICS)
def test_figures_and_bounds_equal_those_of_the_exports(key):
    for row in example_rows():
        exported = next(found for found in figures_of(row) if found.key == key)

        assert figures.figure(row, key) == exported.value
        assert (figures.bounds(row, key) or (None, None)) == (exported.low, exported.high)


def test_flags_come_worst_first_and_once():
    doubled = flag("few_blocks", Severity.DEGRADED)
    row = result_row(result=result(flags=[flag("simulated_power"), doubled, flag("window_short", Severity.VOID)]),
                     latency_ratio=comparison("int8 static", "orin-nano", "latency_p50_ns", 0.7, flags=(doubled,)))

    assert [found.code for found in figures.flags_of(row)] == ["window_short", "few_blocks", "simulated_power"]


@pytest.mark.parametrize(("key", "code"), [("energy_gross_j", "no_power_source"), ("mean_power_w", "power_unreadable"),
                                           ("memory_peak_bytes", "memory_unknown"), ("accuracy_ratio", "no_accuracy")])
def test_the_reason_of_an_absence_is_its_flag(key, code):
    row = result_row(result=result(energy_j=None, flags=[flag(code)]), accuracy_ratio=None)

    assert figures.absent_code(row, key) == code
    assert figures.absent_reason(row, key) == code.replace("_", " ")


def test_a_flag_about_power_is_no_reason_for_absent_memory():
    row = result_row(result=result(energy_j=None, flags=[flag("no_power_source")], memory_peak_bytes=None))

    assert figures.absent_reason(row, "memory_peak_bytes") == "not recorded"


@pytest.mark.parametrize("code", ["no_power_source", "power_unreadable"])
def test_absent_power_says_what_would_change_it(code):
    assert "lab devices check" in figures.remedy(code)


def test_power_is_named_with_scope_and_origin():
    assert figures.power_scope(result_row()) == "board dc power, measured"
    simulated = result_row(result=result(scope=Scope.MODULE, origin=Origin.SIMULATED))
    assert figures.power_scope(simulated) == "module power, SIMULATED"
    assert figures.is_simulated(simulated)
    assert not figures.is_simulated(result_row())
    assert figures.power_scope(result_row(result=result(energy_j=None))) == ""
    assert figures.power_scope(UNMEASURED) == ""


def test_baselines_are_the_cells_that_others_name():
    rows = example_rows()
    expected = {row.result.cell_id for row in rows if row.technique == "baseline"}

    assert figures.baseline_ids(rows) == expected
    assert figures.baseline_ids([result_row()]) == frozenset()
