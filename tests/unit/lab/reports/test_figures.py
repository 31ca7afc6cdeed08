"""Figures with their unit, interval, scope and origin."""

import dataclasses
import math

import pytest

from lab.domain.device import Origin, Scope
from lab.domain.metrics import METRICS
from lab.domain.result import Result
from lab.reports.figures import POWER_KEYS, RESULT_KEYS, figures_of, unit_of
from tests.support import result_rows, samples


def figures(row):
    return {figure.key: figure for figure in figures_of(row)}


def test_every_metric_of_the_table_has_a_figure():
    assert set(METRICS) <= set(figures(result_rows.row()))


def test_every_number_of_a_result_has_a_figure():
    """A field added to Result must appear in exports."""
    told_elsewhere = {"cell_id", "n_blocks", "n_inferences", "load", "memory_kind", "power_scope", "power_origin",
                      "flags", "verdict"}
    assert set(RESULT_KEYS) == {field.name for field in dataclasses.fields(Result)} - told_elsewhere


def test_absent_rows_have_the_same_figures():
    assert list(figures(result_rows.failed_row())) == list(figures(result_rows.row()))
    assert {figure.value for figure in figures_of(result_rows.failed_row())} == {None}


@pytest.mark.parametrize(("key", "unit"), [
    ("latency_p50_ns", "ns"), ("throughput_hz", "Hz"), ("size_bytes", "B"), ("energy_gross_j", "J"),
    ("mean_power_w", "W"), ("temperature_max_c", "°C"), ("accuracy_ratio", "1"), ("parameters", "1"),
    ("latency_ratio", "1"), ("deadline_misses", "1")])
def test_units_follow_the_name(key, unit):
    assert unit_of(key) == unit
    assert figures(result_rows.row())[key].unit == unit


def test_power_carries_scope_and_origin_and_nothing_else_does():
    for key, figure in figures(result_rows.row()).items():
        is_power = key in POWER_KEYS or key == "energy_ratio"
        expected = (Scope.MODULE, Origin.SIMULATED) if is_power and figure.value is not None else (None, None)
        assert (figure.scope, figure.origin) == expected, key


def test_intervals_become_ends():
    found = figures(result_rows.row())
    assert (found["latency_p50_ns"].low, found["latency_p50_ns"].high) == (1.4e6, 1.6e6)
    assert (found["latency_p99_ns"].value, found["latency_p99_ns"].low) == (2e6, None)
    assert found["energy_gross_j"].low == result_rows.ENERGY.value - 0.025
    assert found["energy_gross_j"].high == result_rows.ENERGY.value + 0.025
    assert (found["latency_ratio"].value, found["latency_ratio"].low) == (0.5, 0.45)


def test_values_are_not_rounded():
    assert figures(result_rows.row())["energy_gross_j"].value == 0.1 + 0.2


def test_a_ratio_of_nothing_is_absent():
    nothing = samples.comparison("a", "b", ratio=math.nan)
    assert figures(result_rows.row(latency_ratio=nothing))["latency_ratio"].value is None
