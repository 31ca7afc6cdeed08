"""Percentiles are latencies that happened; intervals say how sure they are."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.analysis.latency import (
    across_blocks,
    inferences_to_resolve,
    is_resolved,
    percentile_interval_ns,
    percentile_ns,
)
from lab.domain.metrics import PERCENTILE_METHOD

latencies = st.lists(st.integers(0, 10**12), min_size=1, max_size=300).map(lambda values: np.array(values, np.int64))
percents = st.sampled_from([50, 90, 95, 99])


@pytest.mark.parametrize(("percent", "expected"), [(1, 10), (50, 50), (90, 90), (91, 100), (99, 100), (100, 100)])
def test_nearest_rank_of_ten_values(percent, expected):
    assert percentile_ns(np.array([100, 90, 80, 70, 60, 50, 40, 30, 20, 10]), percent) == expected


@given(latencies, percents)
def test_it_is_numpys_inverted_cdf(values, percent):
    exact = np.sort(values)[-(-percent * len(values) // 100) - 1]
    assert percentile_ns(values, percent) == exact
    assert percentile_ns(values, percent) in values
    assert np.count_nonzero(values <= percentile_ns(values, percent)) * 100 >= percent * len(values)


@given(latencies)
def test_percentiles_are_ordered(values):
    found = [percentile_ns(values, percent) for percent in (50, 90, 95, 99, 100)]
    assert found == sorted(found)
    assert found[-1] == values.max()


def test_the_input_is_not_reordered():
    values = np.array([3, 1, 2])
    percentile_ns(values, 50)
    assert values.tolist() == [3, 1, 2]


def test_the_method_is_named():
    assert "nearest rank" in PERCENTILE_METHOD


def test_order_statistics_of_a_hundred():
    """Median of 100: ranks 40 and 61 (binomial 2.5 % and 97.5 % points)."""
    assert percentile_interval_ns(np.arange(1, 101), 50) == (40, 61)


def test_too_few_inferences_leave_an_end_open():
    assert percentile_interval_ns(np.arange(1, 6), 50) == (None, None)
    low, high = percentile_interval_ns(np.arange(1, 101), 99)
    assert low is not None
    assert high is None


@pytest.mark.parametrize(("percent", "needed"), [(50, 6), (90, 36), (95, 72), (99, 368)])
def test_a_percentile_is_resolved_from_as_many_inferences_on_as_it_is_said_to_need(percent, needed):
    assert inferences_to_resolve(percent) == needed
    assert is_resolved(np.arange(needed), percent)
    assert not is_resolved(np.arange(needed - 1), percent)


@given(st.integers(1, 800), percents)
def test_more_inferences_never_unresolve(n, percent):
    assert is_resolved(np.arange(n), percent) == (n >= inferences_to_resolve(percent))


@given(latencies, percents)
def test_the_interval_holds_the_percentile(values, percent):
    low, high = percentile_interval_ns(values, percent)
    assert low is None or low <= percentile_ns(values, percent)
    assert high is None or high >= percentile_ns(values, percent)


@pytest.mark.parametrize("percent", [50, 90, 99])
def test_the_interval_covers_at_least_as_often_as_it_says(percent):
    random = np.random.default_rng(2)
    true = -np.log(1 - percent / 100)
    hits = 0
    for _ in range(1000):
        low, high = percentile_interval_ns((random.exponential(size=800) * 1e9).astype(np.int64), percent)
        hits += low <= true * 1e9 <= high
    assert hits / 1000 >= 0.935


def test_over_blocks_the_value_is_the_median():
    interval = across_blocks([1.0, 100.0, 2.0])
    assert interval.value == 2.0
    assert interval.low < 2.0 < interval.high


def test_an_even_number_of_blocks_takes_the_middle_of_two():
    assert across_blocks([1.0, 2.0, 4.0, 9.0]).value == 3.0


@pytest.mark.parametrize("values", [[5.0], [5.0, 6.0]])
def test_fewer_than_three_blocks_have_a_value_without_interval(values):
    interval = across_blocks(values)
    assert (interval.low, interval.high) == (None, None)
    assert interval.value == pytest.approx(sum(values) / len(values))


def test_no_blocks_have_no_value():
    assert across_blocks([]) is None


def test_blocks_that_agree_have_no_width():
    interval = across_blocks([7.0] * 5)
    assert (interval.low, interval.value, interval.high) == (pytest.approx(7.0), 7.0, pytest.approx(7.0))


@given(st.lists(st.floats(1.0, 1e9), min_size=3, max_size=20))
def test_the_interval_always_holds_its_value(values):
    interval = across_blocks(values)
    assert interval.low <= interval.value <= interval.high


@given(st.lists(st.integers(1, 10**9), min_size=3, max_size=20), st.integers(2, 1000))
def test_scaling_the_blocks_scales_value_and_ends(values, factor):
    interval, scaled = across_blocks(values), across_blocks([value * factor for value in values])
    assert scaled.value == pytest.approx(interval.value * factor)
    assert scaled.low == pytest.approx(interval.low * factor)
    assert scaled.high == pytest.approx(interval.high * factor)
