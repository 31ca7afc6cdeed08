"""Which of several points no other beats on both of two metrics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

Direction: TypeAlias = Literal["lower", "higher"]
Point: TypeAlias = tuple[float | None, float | None]


def pareto_front(points: Sequence[Point], better: tuple[Direction, Direction]) -> tuple[int, ...]:
    """Indexes, in order, of the points that none beats; `better` says which way is good on each axis.

    A point beats another if it is at least as good on both axes and better on one. Points where a value is absent
    neither beat nor belong to the front; of equal points all belong.
    """
    signs = [1.0 if direction == "lower" else -1.0 for direction in better]
    known = [(at, first * signs[0], second * signs[1]) for at, (first, second) in enumerate(points)
             if first is not None and second is not None]
    return tuple(at for at, x, y in known
                 if not any(other_x <= x and other_y <= y and (other_x, other_y) != (x, y)
                            for _, other_x, other_y in known))
