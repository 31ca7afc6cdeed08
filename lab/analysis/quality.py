"""What speaks against a cell's numbers, gathered from its windows into flags."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lab.domain.campaign import Protocol
from lab.domain.flags import Flag, Severity
from lab.domain.recording import BlockWindows, Trace, Window
from lab.domain.result import Interval, Quantity

from .curves import succeeded
from .estimates import BLOCKS_MIN
from .latency import inferences_to_resolve, is_resolved
from .uncertainty import type_a_ratio

THROTTLED_RATIO = 0.9
_DETAIL_CAP = 300
_ORDER = (Severity.INFO, Severity.DEGRADED, Severity.VOID)
ABSENT_POWER = ("no_power_source", "no_headline_rail", "power_unreadable")
"""Codes that say why there is no energy figure."""

TAIL_PERCENTS = (90, 95, 99)
"""Percentiles that need more inferences than a short window may have."""


def why_unusable(window: Window) -> str | None:
    """Why a window's numbers may not be used, in words; None if they may."""
    if window.error is not None:
        return window.error
    void = next((flag for flag in window.flags if flag.severity is Severity.VOID), None)
    if void is not None:
        return f"{void.code}: {void.detail}" if void.detail else void.code
    if window.mark_ns("window_start") is None or window.mark_ns("window_end") is None or not len(window.latency_ns):
        return "no inference was finished"
    return None


def usable_blocks(blocks: Sequence[BlockWindows]) -> tuple[BlockWindows, ...]:
    """The blocks whose window may enter numbers."""
    return tuple(block for block in blocks if why_unusable(block.window) is None)


def window_flags(window: Window) -> tuple[Flag, ...]:
    """A window's own flags, and those that its states, memory and error add where it does not say so itself."""
    added = _failure_flags(window)
    if _temperature_c(window) is None:
        added.append(_info("temperature_unknown", "no temperature was recorded"))
    if not any(name.endswith("_peak_bytes") for name, _ in window.memory_bytes) and window.error is None:
        added.append(_info("memory_unknown", "no peak memory was recorded"))
    slowed = clock_ratio(window)
    if slowed is None:
        added.append(_info("frequency_unknown", "no clock frequency was recorded"))
    elif slowed < THROTTLED_RATIO:
        added.append(Flag(code="throttled", severity=Severity.DEGRADED,
                          detail=f"the clock fell to {100 * slowed:.0f} % during the window"))
    told = {flag.code for flag in window.flags}
    return (*window.flags, *(flag for flag in added if flag.code not in told or flag.severity is not Severity.INFO))


def merge_flags(by_block: Sequence[Sequence[Flag]], *, some_usable: bool) -> tuple[Flag, ...]:
    """One flag per code out of the flags of each block, worst severity first.

    A void flag has kept its block out of the numbers already; where other blocks are left (`some_usable`) it only
    degrades the result. A flag about absent power touches no number that is shown, so it is info at most, unless it
    kept a block out.
    """
    merged = []
    for code in dict.fromkeys(flag.code for flags in by_block for flag in flags):
        found = [[flag for flag in flags if flag.code == code] for flags in by_block]
        merged.append(_merged(code, [flags for flags in found if flags], len(by_block), some_usable=some_usable))
    return tuple(sorted(merged, key=lambda flag: -_ORDER.index(flag.severity)))


def precision_flags(protocol: Protocol, n_blocks: int, latency: Interval | None, energy: Quantity | None
                    ) -> tuple[Flag, ...]:
    """Flags about how much was measured: the preset, the number of blocks, the width of the intervals."""
    found = []
    if protocol.preset == "quick":
        found.append(Flag(code="quick_look", severity=Severity.DEGRADED,
                          detail=f"windows of {protocol.window_ns / 1e9:g} s"))
    if 0 < n_blocks < BLOCKS_MIN:
        found.append(Flag(code="few_blocks", severity=Severity.DEGRADED,
                          detail=f"{n_blocks} of at least {BLOCKS_MIN}"))
    wide = [f"{name} ± {100 * ratio:.2g} %" for name, ratio in (
        ("latency", interval_ratio(latency)), ("energy", None if energy is None else type_a_ratio(energy)))
        if ratio is not None and ratio > protocol.target_ci_ratio]
    if wide:
        found.append(Flag(code="interval_wide", severity=Severity.DEGRADED,
                          detail=f"{', '.join(wide)}; asked for ± {100 * protocol.target_ci_ratio:g} %"))
    return tuple(found)


def unresolved_percents(windows: Sequence[Window]) -> tuple[int, ...]:
    """Latency percentiles that one of the windows holds too few inferences for.

    One such window is enough: a percentile of the other windows alone would be one of the faster ones.
    """
    return tuple(percent for percent in TAIL_PERCENTS
                 if not all(is_resolved(window.latency_ns, percent) for window in windows))


def percentile_flags(windows: Sequence[Window]) -> tuple[Flag, ...]:
    """Which latency percentiles are not given, how many inferences there were and how many it takes."""
    unresolved = unresolved_percents(windows)
    if not unresolved:
        return ()
    needed = ", ".join(f"p{percent} ({inferences_to_resolve(percent)})" for percent in unresolved)
    fewest = min(len(window.latency_ns) for window in windows)
    return (_info("percentile_unresolved", f"n = {fewest} inferences in a window are too few for {needed}; "
                                           "longer windows hold more"),)


def interval_ratio(interval: Interval | None) -> float | None:
    """Half-width of an interval relative to its value; None where it is not known."""
    if interval is None or interval.low is None or interval.high is None or not interval.value:
        return None
    return (interval.high - interval.low) / 2 / interval.value


def clock_ratio(window: Window) -> float | None:
    """Fastest clock at the end of the window over that at its beginning; None where either is not known.

    Sampled clocks count before the states around the window: after it the governor may already have let go.
    """
    sampled = _sampled_clock_ratio(window)
    if sampled is not None:
        return sampled
    before = [hz for _, hz in window.state_before.frequencies_hz if hz > 0]
    after = [hz for _, hz in window.state_after.frequencies_hz if hz > 0]
    return max(after) / max(before) if before and after else None


def temperature_max_c(windows: Sequence[Window]) -> float | None:
    """Highest temperature seen before, in or after any of the windows, or None."""
    return max((hot for window in windows if (hot := _temperature_c(window)) is not None), default=None)


def _sampled_clock_ratio(window: Window) -> float | None:
    start_ns, end_ns = window.mark_ns("window_start"), window.mark_ns("window_end")
    if start_ns is None or end_ns is None:
        return None
    quarter_ns = (end_ns - start_ns) // 4
    first = _fastest_hz(window, start_ns, start_ns + quarter_ns)
    last = _fastest_hz(window, end_ns - quarter_ns, end_ns)
    return None if first is None or last is None else last / first


def _fastest_hz(window: Window, start_ns: int, end_ns: int) -> float | None:
    """Of all clocks, the highest median between two instants."""
    medians = [float(np.median(values)) for trace in window.traces if trace.quantity == "frequency_hz"
               for values in (_values(trace, start_ns, end_ns),) if len(values)]
    return max((hz for hz in medians if hz > 0), default=None)


def _values(trace: Trace, start_ns: int, end_ns: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    inside = succeeded(trace) & (trace.t_ns >= start_ns) & (trace.t_ns <= end_ns)
    return trace.raw[inside].astype(np.float64) * trace.scale


def _temperature_c(window: Window) -> float | None:
    found = [hot for state in (window.state_before, window.state_after) for _, hot in state.temperatures_c]
    for trace in window.traces:
        good = succeeded(trace)
        if trace.quantity == "temperature_c" and good.any():
            found.append(float(np.max(trace.raw[good])) * trace.scale)
    return max(found, default=None)


def _failure_flags(window: Window) -> list[Flag]:
    reason = why_unusable(window)
    if reason is None or any(flag.severity is Severity.VOID for flag in window.flags):
        return []
    return [Flag(code="window_failed", severity=Severity.VOID, detail=reason)]


def _merged(code: str, by_block: Sequence[Sequence[Flag]], n_blocks: int, *, some_usable: bool) -> Flag:
    every = [flag for flags in by_block for flag in flags]
    severity = max((flag.severity for flag in every), key=_ORDER.index)
    if severity is Severity.VOID:
        severity = Severity.DEGRADED if some_usable else Severity.VOID
    elif code in ABSENT_POWER:
        severity = Severity.INFO
    details = list(dict.fromkeys(flag.detail for flag in every if flag.detail))
    text = "; ".join(details[:2]) + (f"; and {len(details) - 2} more" if len(details) > 2 else "")
    if len(by_block) < n_blocks:
        text = f"{len(by_block)} of {n_blocks} blocks: {text}"
    touched = [flag.touched_ns for flag in every if flag.touched_ns is not None]
    return Flag(code=code, severity=severity, detail=text[:_DETAIL_CAP], touched_ns=sum(touched) if touched else None)


def _info(code: str, detail: str) -> Flag:
    return Flag(code=code, severity=Severity.INFO, detail=detail)
