"""Peak memory of the measuring process, by kind; kinds are never mixed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lab.domain.recording import Window

KINDS = ("rss", "pss", "uss", "gpu")
"""In order of preference; a window reports `<kind>_peak_bytes` and, where it can, `<kind>_baseline_bytes`."""


@dataclass(frozen=True, kw_only=True)
class Memory:
    """The largest peak of any window, and the largest growth over the loaded runtime; None is not known."""

    kind: str | None = None
    peak_bytes: int | None = None
    delta_bytes: int | None = None


def peak_memory(windows: Sequence[Window]) -> Memory:
    """Peak memory over a cell's windows: the worst seen, since a device must hold that much."""
    reports = [dict(window.memory_bytes) for window in windows]
    for kind in KINDS:
        peaks = [report for report in reports if f"{kind}_peak_bytes" in report]
        if peaks:
            return Memory(kind=kind, peak_bytes=max(report[f"{kind}_peak_bytes"] for report in peaks),
                          delta_bytes=_delta(kind, peaks))
    return Memory()


def _delta(kind: str, reports: Sequence[dict[str, int]]) -> int | None:
    """A high-water mark cannot fall, so a peak below its baseline was not read right."""
    grown = [report[f"{kind}_peak_bytes"] - report[f"{kind}_baseline_bytes"] for report in reports
             if f"{kind}_baseline_bytes" in report]
    return max((bytes_ for bytes_ in grown if bytes_ >= 0), default=None)
