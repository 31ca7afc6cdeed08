"""Latency percentiles: exact within a window, with an interval over blocks.

Within a window a percentile is the nearest rank: the smallest observed latency that at least that share of all
latencies do not exceed. It is always a latency that happened. Its interval is distribution-free, from order statistics
and the binomial distribution; where a window has too few inferences for its upper end, the percentile is hardly more
than the maximum of that window, and not given.

Over blocks the value is the median of the blocks' percentiles, which one odd block cannot move far; its interval is
Student's t on the logarithms of the blocks' values, because latencies are positive and skewed to the right.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

import numpy as np
from scipy.special import bdtr, bdtrik

from lab.domain.recording import Int64Array
from lab.domain.result import Interval

from .estimates import CONFIDENCE_RATIO, log_interval


def percentile_ns(latency_ns: Int64Array, percent: int) -> int:
    """Nearest-rank percentile of a window's latencies (n,), n ≥ 1, for a whole percent from 1 to 100."""
    rank = -(-percent * len(latency_ns) // 100)
    return int(np.partition(latency_ns, rank - 1)[rank - 1])


def percentile_interval_ns(latency_ns: Int64Array, percent: int) -> tuple[int | None, int | None]:
    """95 % interval of a percentile within one window: two order statistics.

    An end is None where the window holds too few inferences for it: the true percentile may lie beyond all of them.
    It takes the inferences for independent, so it says how finely this window was seen, not how well it repeats.
    """
    n, share = len(latency_ns), percent / 100
    tail = (1 - CONFIDENCE_RATIO) / 2
    low_rank = _binomial_quantile(tail, n, share)
    high_rank = _binomial_quantile(1 - tail, n, share) + 1
    ordered = np.sort(latency_ns)
    return (int(ordered[low_rank - 1]) if low_rank >= 1 else None,
            int(ordered[high_rank - 1]) if high_rank <= n else None)


def is_resolved(latency_ns: Int64Array, percent: int) -> bool:
    """Whether a window's latencies (n,) reach the upper end of this percentile's 95 % interval."""
    return percentile_interval_ns(latency_ns, percent)[1] is not None


def inferences_to_resolve(percent: int) -> int:
    """Fewest inferences of a window of which `is_resolved` is true: 36 for p90, 72 for p95, 368 for p99."""
    return math.ceil(math.log((1 - CONFIDENCE_RATIO) / 2) / math.log(percent / 100))


def across_blocks(values: Sequence[float]) -> Interval | None:
    """Median of the blocks' values with a 95 % interval, whose ends are None for fewer than three blocks.

    The interval is centred on the geometric mean; where the median lies outside, it is widened to hold it.
    """
    if not values:
        return None
    middle = float(statistics.median(values))
    ends = log_interval(values)
    if ends is None:
        return Interval(value=middle, low=None, high=None)
    return Interval(value=middle, low=min(ends[0], middle), high=max(ends[1], middle))


def _binomial_quantile(probability: float, n: int, share: float) -> int:
    """Smallest k with P(at most k of n) ≥ probability."""
    k = int(np.ceil(bdtrik(probability, n, share)))
    return k - 1 if k > 0 and bdtr(k - 1, n, share) >= probability else k
