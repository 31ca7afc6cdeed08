"""Intervals for a few blocks."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.analysis.estimates import coverage_factor, log_interval, mean_of, standard_error

positive = st.floats(1e-6, 1e9)


@pytest.mark.parametrize(("degrees", "factor"), [(1, 12.706), (2, 4.303), (5, 2.571), (19, 2.093), (math.inf, 1.960)])
def test_coverage_factor_is_students_t(degrees, factor):
    assert coverage_factor(degrees) == pytest.approx(factor, abs=5e-4)


@given(st.lists(positive, min_size=2, max_size=20))
def test_mean_and_standard_error_agree_with_numpy(values):
    assert mean_of(values) == pytest.approx(np.mean(values))
    expected = np.std(values, ddof=1) / math.sqrt(len(values))
    assert standard_error(values) == pytest.approx(expected, rel=1e-9, abs=1e-12 * max(values))


def test_log_interval_of_a_worked_example():
    """Logs 0, 1, 2: mean 1, s = 1, half-width 4.303 / √3."""
    low, high = log_interval([1.0, math.e, math.e**2])
    half = 4.302652729749462 / math.sqrt(3)
    assert (math.log(low), math.log(high)) == (pytest.approx(1 - half), pytest.approx(1 + half))


@pytest.mark.parametrize("values", [[], [1.0], [1.0, 2.0], [1.0, 2.0, 0.0], [1.0, 2.0, -1.0]])
def test_too_few_or_impossible_values_have_no_interval(values):
    assert log_interval(values) is None


@given(st.lists(positive, min_size=3, max_size=20))
def test_the_interval_holds_the_geometric_mean(values):
    low, high = log_interval(values)
    middle = math.exp(mean_of([math.log(value) for value in values]))
    assert low <= middle * (1 + 1e-12)
    assert high >= middle * (1 - 1e-12)


def test_the_interval_covers_as_often_as_it_says():
    random = np.random.default_rng(1)
    hits = 0
    for _ in range(2000):
        low, high = log_interval(np.exp(random.normal(2.0, 0.3, size=6)).tolist())
        hits += low <= math.exp(2.0) <= high
    assert 0.93 <= hits / 2000 <= 0.97
