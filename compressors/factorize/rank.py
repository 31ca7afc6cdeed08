"""Which rank a factorized layer gets, and whether factorizing it pays."""

from __future__ import annotations

from collections.abc import Sequence


def rank_for_energy(singular_values: Sequence[float], energy_ratio: float) -> int:
    """The smallest rank whose squared singular values hold at least this share of all of them; at least 1.

    `singular_values` are in descending order.
    """
    squares = [value * value for value in singular_values]
    wanted = energy_ratio * sum(squares)
    held = 0.0
    for rank, square in enumerate(squares, start=1):
        held += square
        if held >= wanted:
            return rank
    return max(1, len(squares))


def rounded_rank(rank: int, *, round_to: int, rank_min: int) -> int:
    """The rank raised to `rank_min` and up to a multiple of `round_to`."""
    return -(-max(rank, rank_min) // round_to) * round_to


def pays(rank: int, fan_in: int, fan_out: int) -> bool:
    """Whether two factors of this rank hold fewer weights, and so compute less, than the one layer.

    `fan_in` is the inputs of one output: input channels × kernel positions.
    """
    return rank * (fan_in + fan_out) < fan_in * fan_out
