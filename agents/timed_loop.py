"""The loops that time inferences: two clock reads around each and nothing else in between."""

from __future__ import annotations

import time
from array import array
from typing import Callable, NamedTuple, Optional

CHUNK = 65_536
"""Latencies stored before the array grows; it grows between two inferences, outside what is timed."""

MAX_INFERENCES = 16_000_000
MAX_WARMUP_INFERENCES = 8_000_000
"""Together 192 MB of latencies: what the controller still takes as one recording."""

RESERVE_MAX = 2_000_000

Clock = Callable[[], int]


class Bounds(NamedTuple):
    """When a loop ends: after `length_ns` and `inferences_min`, but not past the instant `stop_by_ns`."""

    length_ns: int
    inferences_min: int
    stop_by_ns: int
    inferences_max: int = MAX_INFERENCES


class Timed(NamedTuple):
    """What a loop saw; `misses` is None where there was no deadline."""

    start_ns: int
    end_ns: int
    inferences: int
    misses: Optional[int]


def latency_array() -> "array[int]":
    """Room for the first inferences, every page of it touched; make it before the memory baseline is read."""
    return array("q", bytes(8 * CHUNK))


def warm_up(infer: Callable[[], None], warmup_ns: "array[int]", bounds: Bounds, settled: Callable[[], None],
            clock: Clock = time.monotonic_ns) -> Timed:
    """Like `back_to_back`, and `settled` is called once: when it is over, or before `warmup_ns` would grow.

    Memory read in `settled` holds what inference needs and nothing that grows with the number of inferences.
    """
    room = min(len(warmup_ns), bounds.inferences_max)
    first = back_to_back(infer, warmup_ns, bounds._replace(inferences_max=room), clock)
    settled()
    left_ns = bounds.length_ns - (clock() - first.start_ns)
    left = bounds.inferences_max - first.inferences
    if left_ns <= 0 or left <= 0 or first.end_ns >= bounds.stop_by_ns:
        return first
    more_ns = latency_array()
    more = back_to_back(infer, more_ns, Bounds(left_ns, 0, bounds.stop_by_ns, left), clock)
    warmup_ns.extend(more_ns)
    return Timed(first.start_ns, more.end_ns, first.inferences + more.inferences, None)


def reserve(latency_ns: "array[int]", length_ns: int, warmup: Timed) -> None:
    """Make room for as many inferences as the warm-up lets expect, so that the array need not grow in the window."""
    expected = int(1.2 * length_ns * warmup.inferences / max(1, warmup.end_ns - warmup.start_ns))
    missing = min(expected, RESERVE_MAX) - len(latency_ns)
    if missing > 0:
        latency_ns.frombytes(bytes(8 * missing))


def back_to_back(infer: Callable[[], None], latency_ns: "array[int]", bounds: Bounds,
                 clock: Clock = time.monotonic_ns) -> Timed:
    """One inference after the other; `latency_ns` ends with one entry for each, at least one."""
    last = min(bounds.inferences_min, bounds.inferences_max) - 1
    stop_by_ns = bounds.stop_by_ns
    count = 0
    start = clock()
    soonest = min(start + bounds.length_ns, stop_by_ns)
    while True:
        for index in range(count, min(len(latency_ns), bounds.inferences_max)):
            before = clock()
            infer()
            after = clock()
            latency_ns[index] = after - before
            if after >= soonest and (index >= last or after >= stop_by_ns):
                del latency_ns[index + 1:]
                return Timed(start, after, index + 1, None)
        count = len(latency_ns)
        if count >= bounds.inferences_max:
            del latency_ns[bounds.inferences_max:]
            return Timed(start, after, bounds.inferences_max, None)
        latency_ns.frombytes(bytes(8 * CHUNK))


def paced(infer: Callable[[], None], latency_ns: "array[int]", bounds: Bounds, rate_hz: float,
          deadline_ns: Optional[int], clock: Clock = time.monotonic_ns,
          sleep: Callable[[float], None] = time.sleep) -> Timed:
    """One inference per period; those that come late queue up. Latency counts from the actual start, a miss from
    the instant it was due. The window ends with a period, so that its idle part belongs to it."""
    period_ns = 1e9 / rate_hz
    count = misses = 0
    start = clock()
    enough = start + bounds.length_ns
    while count < bounds.inferences_max:
        due = start + int(count * period_ns)
        if due >= bounds.stop_by_ns or (due >= enough and count >= max(1, bounds.inferences_min)):
            break
        now = clock()
        if now < due:
            sleep((due - now) / 1e9)
        if count == len(latency_ns):
            latency_ns.frombytes(bytes(8 * CHUNK))
        before = clock()
        infer()
        after = clock()
        latency_ns[count] = after - before
        count += 1
        if deadline_ns is not None and after - due > deadline_ns:
            misses += 1
    del latency_ns[count:]
    end_due = min(start + int(count * period_ns), bounds.stop_by_ns)
    now = clock()
    if now < end_due:
        sleep((end_due - now) / 1e9)
    return Timed(start, clock(), count, None if deadline_ns is None else misses)
