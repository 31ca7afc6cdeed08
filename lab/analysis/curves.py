"""One rail's power over time, from whatever its sensor gives: samples, interval means or an energy counter.

Between two readings power is a straight line: from sample to sample (so that integrating is the trapezoid rule on
the midpoints of the reads), or level (a counter's difference, a mean over the interval that ends with its reading).
Integrating such a curve between two instants is exact and additive whatever the instants are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from lab.domain.recording import Int64Array, Trace

FloatArray: TypeAlias = NDArray[np.float64]
BoolArray: TypeAlias = NDArray[np.bool_]
Span: TypeAlias = tuple[int, int]

LONG_INTERVAL_RATIO = 2.5
"""An interval between reads this many times the usual is a stall; jittered polling stays below 2."""

EDGE_RATIO = 1.5
"""How far beyond its last reading a curve may be held, in usual intervals, before that counts as missing."""

WRAP_RATIO = 0.5
"""A decrease is a wrap only if the last value was above this part of the counter's range."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Curve:
    """Power between knots `t_ns` (n,): from `left_w` (n-1,) to `right_w` (n-1,) in each of the n-1 intervals.

    `missing` are the spans without readings, `resets` the intervals in which a counter started anew. A counter has
    no such spans, but what it counted in a long interval cannot be told apart at a mark inside it.
    """

    t_ns: Int64Array
    left_w: FloatArray
    right_w: FloatArray
    interval_ns: int
    missing: tuple[Span, ...] = ()
    resets: tuple[Span, ...] = ()
    dropped: int = 0
    is_counter: bool = False

    def energy_j(self, start_ns: int, end_ns: int) -> float:
        """Energy between two instants; before the first and after the last knot the nearest power holds."""
        low = np.clip(self.t_ns[:-1], start_ns, end_ns)
        high = np.clip(self.t_ns[1:], start_ns, end_ns)
        span_ns = (self.t_ns[1:] - self.t_ns[:-1]).astype(np.float64)
        slope = (self.right_w - self.left_w) / span_ns
        middle_ns = (low - self.t_ns[:-1]).astype(np.float64) + (high - low) / 2
        inside = float(np.sum((self.left_w + slope * middle_ns) * (high - low)))
        before = float(self.left_w[0]) * max(0, min(end_ns, int(self.t_ns[0])) - start_ns)
        after = float(self.right_w[-1]) * max(0, end_ns - max(start_ns, int(self.t_ns[-1])))
        return (inside + before + after) * 1e-9

    def missing_ns(self, start_ns: int, end_ns: int) -> int:
        """How much of the time between two instants no reading speaks for."""
        spans = list(self.missing)
        edge_ns = int(EDGE_RATIO * self.interval_ns)
        first_ns, last_ns = int(self.t_ns[0]), int(self.t_ns[-1])
        if first_ns - start_ns > edge_ns:
            spans.append((start_ns, first_ns))
        if end_ns - last_ns > edge_ns:
            spans.append((last_ns, end_ns))
        if self.is_counter:
            spans += self._long_intervals_at(start_ns, end_ns)
        lost_ns = _covered_ns(spans, start_ns, end_ns) + self.dropped * self.interval_ns
        return min(lost_ns, end_ns - start_ns)

    def _long_intervals_at(self, *instants_ns: int) -> list[Span]:
        long_ns = int(LONG_INTERVAL_RATIO * self.interval_ns)
        places = [int(np.searchsorted(self.t_ns, instant_ns)) for instant_ns in instants_ns]
        spans = [(int(self.t_ns[at - 1]), int(self.t_ns[at])) for at in places if 0 < at < len(self.t_ns)]
        return [(low, high) for low, high in spans if high - low > long_ns]

    def has_reset(self, start_ns: int, end_ns: int) -> bool:
        """Whether a counter started anew in an interval that the time between two instants touches."""
        return any(low < end_ns and high > start_ns for low, high in self.resets)


def curve_of(trace: Trace) -> Curve | None:
    """The curve of one power or energy trace; None with fewer than two readings that succeeded."""
    good = succeeded(trace)
    if np.count_nonzero(good) < 2:
        return None
    if trace.quantity == "energy_j":
        return _counter_curve(trace, good)
    return _power_curve(trace, trace.raw.astype(np.float64) * trace.scale, trace.t_ns, good)


def product_curve(current: Trace, voltage: Trace) -> Curve | None:
    """The curve of a rail read as current and voltage, multiplied pair by pair; None if they are no pairs."""
    if len(current.t_ns) != len(voltage.t_ns):
        return None
    good = succeeded(current) & succeeded(voltage)
    if np.count_nonzero(good) < 2:
        return None
    power_w = (current.raw.astype(np.float64) * current.scale) * (voltage.raw.astype(np.float64) * voltage.scale)
    middle_ns = current.t_ns + (voltage.t_ns - current.t_ns) // 2
    return _power_curve(current, power_w, middle_ns, good)


def succeeded(trace: Trace) -> BoolArray:
    """Which reads (n,) gave a value."""
    good = np.ones(len(trace.raw), dtype=np.bool_)
    good[[index for index, _ in trace.errors]] = False
    return good


def _power_curve(trace: Trace, power_w: FloatArray, t_ns: Int64Array, good: BoolArray) -> Curve:
    interval_ns = _usual_interval_ns(t_ns)
    missing = (*_failed_spans(t_ns, good), *_stalls(t_ns, interval_ns))
    knots, values = t_ns[good], power_w[good]
    if trace.kind == "interval_mean":
        first_ns = knots[0] - (trace.interval_ns or int(knots[1] - knots[0]))
        return Curve(t_ns=np.concatenate([[first_ns], knots]), left_w=values, right_w=values, interval_ns=interval_ns,
                     missing=missing, dropped=trace.dropped)
    return Curve(t_ns=knots, left_w=values[:-1], right_w=values[1:], interval_ns=interval_ns, missing=missing,
                 dropped=trace.dropped)


def _counter_curve(trace: Trace, good: BoolArray) -> Curve:
    """A counter loses nothing between two reads: what failed in between only makes the shape coarser."""
    knots, raw = trace.t_ns[good], trace.raw[good]
    steps = (raw[1:] - raw[:-1]).astype(np.float64)
    place = np.flatnonzero(good)
    resets: list[Span] = []
    for at in np.flatnonzero(steps < 0).tolist():
        # Read errors beside a decrease are how drivers look while a device resets.
        is_wrap = (trace.wrap_at is not None and int(raw[at]) > WRAP_RATIO * trace.wrap_at
                   and int(place[at + 1]) == int(place[at]) + 1)
        if is_wrap and trace.wrap_at is not None:
            steps[at] = float(int(raw[at + 1]) - int(raw[at]) + trace.wrap_at)
        if not is_wrap or steps[at] < 0:
            resets.append((int(knots[at]), int(knots[at + 1])))
    power_w = steps * trace.scale / ((knots[1:] - knots[:-1]) * 1e-9)
    return Curve(t_ns=knots, left_w=power_w, right_w=power_w, interval_ns=_usual_interval_ns(trace.t_ns),
                 resets=tuple(resets), is_counter=True)


def _usual_interval_ns(t_ns: Int64Array) -> int:
    return int(np.median(np.diff(t_ns)))


def _failed_spans(t_ns: Int64Array, good: BoolArray) -> list[Span]:
    """For each failed read the time nearer to it than to its neighbours."""
    middles = t_ns[:-1] + np.diff(t_ns) // 2
    last = len(t_ns) - 1
    return [(int(middles[at - 1] if at else t_ns[0]), int(middles[at] if at < last else t_ns[last]))
            for at in np.flatnonzero(~good).tolist()]


def _stalls(t_ns: Int64Array, interval_ns: int) -> list[Span]:
    """The middle of intervals in which the sampler stood still; half a usual interval is left to each end."""
    half_ns = interval_ns // 2
    long = np.flatnonzero(np.diff(t_ns) > LONG_INTERVAL_RATIO * interval_ns).tolist()
    return [(int(t_ns[at]) + half_ns, int(t_ns[at + 1]) - half_ns) for at in long]


def _covered_ns(spans: list[Span], start_ns: int, end_ns: int) -> int:
    """Length of the union of spans inside [start, end]."""
    total, reached = 0, start_ns
    for low, high in sorted(spans):
        low_ns, high_ns = max(low, reached), min(high, end_ns)
        if high_ns > low_ns:
            total += high_ns - low_ns
            reached = high_ns
    return total
