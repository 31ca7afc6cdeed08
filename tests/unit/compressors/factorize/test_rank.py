import pytest
from hypothesis import given
from hypothesis import strategies as st

from compressors.factorize.rank import pays, rank_for_energy, rounded_rank

VALUES = st.lists(st.floats(0, 1e3), min_size=1, max_size=40).map(lambda values: sorted(values, reverse=True))


@pytest.mark.parametrize(("values", "energy", "expected"), [
    ([3, 2, 1], 0.5, 1), ([3, 2, 1], 9 / 14, 1), ([3, 2, 1], 0.65, 2), ([3, 2, 1], 0.99, 3), ([3, 2, 1], 1.0, 3),
    ([1, 1, 1, 1], 0.5, 2), ([1, 1, 1, 1], 0.51, 3), ([5], 0.1, 1), ([0, 0], 0.9, 1), ([2, 0, 0], 1.0, 1)])
def test_ranks_by_hand(values, energy, expected):
    assert rank_for_energy(values, energy) == expected


@given(VALUES, st.floats(0.01, 1))
def test_the_rank_is_the_smallest_that_holds_the_energy(values, energy):
    rank = rank_for_energy(values, energy)
    squares = [value * value for value in values]
    assert 1 <= rank <= len(values)
    assert sum(squares[:rank]) >= energy * sum(squares) * (1 - 1e-9)
    assert rank == 1 or sum(squares[:rank - 1]) < energy * sum(squares)


@given(st.integers(1, 500), st.integers(1, 64), st.integers(1, 64))
def test_rounding_goes_up_to_the_next_multiple(rank, round_to, rank_min):
    rounded = rounded_rank(rank, round_to=round_to, rank_min=rank_min)
    assert rounded % round_to == 0
    assert max(rank, rank_min) <= rounded < max(rank, rank_min) + round_to


@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 300))
def test_what_pays_has_fewer_weights_and_a_rank_below_both_sides(rank, fan_in, fan_out):
    if pays(rank, fan_in, fan_out):
        assert fan_in * rank + rank * fan_out < fan_in * fan_out
        assert rank < min(fan_in, fan_out)
    else:
        assert fan_in * rank + rank * fan_out >= fan_in * fan_out


def test_the_limit_itself_does_not_pay():
    assert not pays(2, 4, 4)
    assert pays(1, 4, 4)
