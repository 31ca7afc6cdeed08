"""Cuts a stream into arbitrary pieces, for property tests."""

from __future__ import annotations

from typing import List, Sequence, Tuple


def cut_at(size: int, points: Sequence[int]) -> List[Tuple[int, int]]:
    """Half-open ranges that cover `size` in order, cut at the points taken modulo the size."""
    edges = sorted({0, size, *(point % (size + 1) for point in points)})
    return [(edges[index], edges[index + 1]) for index in range(len(edges) - 1)]
