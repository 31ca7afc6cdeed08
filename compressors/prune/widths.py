"""How many channels a layer keeps."""

from __future__ import annotations

import math


def kept_width(width: int, keep_ratio: float, round_to: int) -> int:
    """The multiple of `round_to` nearest to `width · keep_ratio` (a half goes up), between one multiple and `width`.

    A layer whose width would not become smaller keeps it, so a layer of up to `round_to` channels is left alone.
    """
    multiples = max(1, math.floor(width * keep_ratio / round_to + 0.5))
    return min(width, multiples * round_to)
