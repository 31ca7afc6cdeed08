"""Intervals for a few independent values: the blocks of a cell.

Samples within a window are not independent of each other, so only blocks count as replicates.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from scipy.special import stdtrit

CONFIDENCE_RATIO = 0.95
BLOCKS_MIN = 3
"""Fewer blocks give no interval: with two, Student's t is 12.7 and the spread itself is hardly known."""


def coverage_factor(degrees_of_freedom: float) -> float:
    """Half-width of the 95 % interval in standard uncertainties (Student's t; 1.96 for infinite degrees)."""
    return float(stdtrit(degrees_of_freedom, (1 + CONFIDENCE_RATIO) / 2))


def mean_of(values: Sequence[float]) -> float:
    """Arithmetic mean, summed without rounding loss."""
    return math.fsum(values) / len(values)


def standard_error(values: Sequence[float]) -> float:
    """Standard uncertainty of the mean of two or more values, from their spread (type A)."""
    mean = mean_of(values)
    variance = math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)
    return math.sqrt(variance / len(values))


def log_interval(values: Sequence[float]) -> tuple[float, float] | None:
    """95 % interval of the centre of positive, right-skewed values: Student's t on their logarithms.

    None for fewer than three values, or where one is not positive.
    """
    if len(values) < BLOCKS_MIN or min(values) <= 0:
        return None
    logs = [math.log(value) for value in values]
    centre = mean_of(logs)
    half = coverage_factor(len(logs) - 1) * standard_error(logs)
    return math.exp(centre - half), math.exp(centre + half)
