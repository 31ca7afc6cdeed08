"""The interval of paired ratios is Student's t on logarithms, and the order of measurements cancels drift."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.ratio import in_turns, paired_ratio

TIMES = st.lists(st.tuples(st.floats(0.1, 1e9), st.floats(0.1, 1e9)), min_size=2, max_size=30)


def test_a_known_case_by_hand():
    # logs are ±ln 2 around 0: sd = ln 2 · √2, n = 2, t(0.975, 1) = 12.706
    interval = paired_ratio([2.0, 1.0], [1.0, 2.0])
    assert interval.ratio == pytest.approx(1.0)
    half = 12.7062 * math.log(2) * math.sqrt(2) / math.sqrt(2)
    assert interval.high_ratio == pytest.approx(math.exp(half), rel=1e-4)
    assert interval.low_ratio == pytest.approx(math.exp(-half), rel=1e-4)


def test_a_constant_ratio_has_no_width():
    interval = paired_ratio([1.5, 3.0, 6.0], [1.0, 2.0, 4.0])
    assert (interval.low_ratio, interval.high_ratio) == (pytest.approx(1.5), pytest.approx(1.5))
    assert interval.half_width_ratio == pytest.approx(0.0)
    assert interval.text() == "1.5000 [1.5000, 1.5000]"


@given(TIMES)
def test_the_interval_holds_the_ratio_and_swapping_sides_inverts_it(pairs):
    ours, reference = zip(*pairs, strict=True)
    interval, other = paired_ratio(ours, reference), paired_ratio(reference, ours)
    assert interval.low_ratio <= interval.ratio * (1 + 1e-12)
    assert interval.ratio <= interval.high_ratio * (1 + 1e-12)
    assert interval.ratio * other.ratio == pytest.approx(1.0)
    assert interval.high_ratio == pytest.approx(1 / other.low_ratio) or math.isinf(interval.high_ratio)


@given(TIMES, st.floats(0.01, 100))
def test_the_unit_does_not_matter(pairs, factor):
    ours, reference = zip(*pairs, strict=True)
    scaled = paired_ratio([factor * one for one in ours], [factor * one for one in reference])
    assert scaled.ratio == pytest.approx(paired_ratio(ours, reference).ratio)


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_pairs_have_no_interval(count):
    with pytest.raises(ValueError, match="at least 2 pairs"):
        paired_ratio([1.0] * count, [1.0] * count)


def test_sides_of_unequal_length_are_refused():
    with pytest.raises(ValueError, match=r"longer|shorter"):
        paired_ratio([1.0, 2.0], [1.0])


@given(st.integers(1, 50))
def test_turns_are_a_b_b_a_and_every_pair_has_both(pairs):
    order = in_turns(pairs)
    assert order[:4] == [True, False, False, True][:len(order)]
    assert all(order[2 * index] != order[2 * index + 1] for index in range(pairs))
    linear_drift = sum(position if is_ours else -position for position, is_ours in enumerate(order))
    assert pairs % 2 == 1 or linear_drift == 0
