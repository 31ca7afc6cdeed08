"""Ratios of paired times, with a Student t interval on their logarithms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

CONFIDENCE = 0.95


@dataclass(frozen=True)
class RatioInterval:
    """Geometric mean of the pairs' ratios and the ends of its two-sided 95 % interval."""

    ratio: float
    low_ratio: float
    high_ratio: float
    pairs: int

    @property
    def half_width_ratio(self) -> float:
        """Half the interval's width."""
        return (self.high_ratio - self.low_ratio) / 2

    def text(self) -> str:
        """The ratio with its interval, for a table."""
        return f"{self.ratio:.4f} [{self.low_ratio:.4f}, {self.high_ratio:.4f}]"


def paired_ratio(ours: Sequence[float], reference: Sequence[float]) -> RatioInterval:
    """The interval of ours ÷ reference, pair by pair; raises ValueError for fewer than two pairs."""
    from scipy.stats import t

    logs = [math.log(one / other) for one, other in zip(ours, reference, strict=True)]
    count = len(logs)
    if count < 2:
        raise ValueError(f"an interval needs at least 2 pairs, got {count}")
    mean = math.fsum(logs) / count
    variance = math.fsum((value - mean) ** 2 for value in logs) / (count - 1)
    half = float(t.ppf((1 + CONFIDENCE) / 2, count - 1)) * math.sqrt(variance / count)
    return RatioInterval(math.exp(mean), math.exp(mean - half), math.exp(mean + half), count)


def in_turns(pairs: int) -> list[bool]:
    """For each measurement in time order, is it ours? The order is A B B A, so that drift meets both alike."""
    return [is_ours for index in range(pairs) for is_ours in ((True, False) if index % 2 == 0 else (False, True))]
