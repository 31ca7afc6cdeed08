"""The front of two metrics."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.analysis.pareto import pareto_front

axis = st.none() | st.integers(0, 5).map(float)
points = st.lists(st.tuples(axis, axis), max_size=20)
directions = st.tuples(st.sampled_from(["lower", "higher"]), st.sampled_from(["lower", "higher"]))


def beats(one, other, better):
    good = [(a <= b, a < b) if way == "lower" else (a >= b, a > b)
            for a, b, way in zip(one, other, better, strict=True)]
    return all(not_worse for not_worse, _ in good) and any(is_better for _, is_better in good)


@pytest.mark.parametrize(("given_points", "better", "front"), [
    ([], ("lower", "lower"), ()),
    ([(1.0, 1.0)], ("lower", "lower"), (0,)),
    ([(1.0, 3.0), (2.0, 2.0), (3.0, 1.0), (3.0, 3.0)], ("lower", "lower"), (0, 1, 2)),
    ([(1.0, 0.9), (2.0, 0.95), (3.0, 0.8)], ("lower", "higher"), (0, 1)),
    ([(1.0, 1.0), (1.0, 1.0)], ("lower", "lower"), (0, 1)),
    ([(1.0, 1.0), (1.0, 2.0)], ("lower", "lower"), (0,)),
    ([(None, 0.0), (1.0, None), (2.0, 2.0)], ("lower", "lower"), (2,)),
])
def test_examples(given_points, better, front):
    assert pareto_front(given_points, better) == front


@given(points, directions)
def test_it_is_exactly_the_unbeaten(given_points, better):
    known = [at for at, point in enumerate(given_points) if None not in point]
    unbeaten = tuple(at for at in known
                     if not any(beats(given_points[other], given_points[at], better) for other in known))
    assert pareto_front(given_points, better) == unbeaten


@given(points, directions)
def test_where_any_point_is_known_the_front_is_not_empty(given_points, better):
    assert bool(pareto_front(given_points, better)) == any(None not in point for point in given_points)
