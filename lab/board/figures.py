"""Reads figures out of result rows and prints them, always through the metrics table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, TypeAlias

from lab.domain.device import Origin
from lab.domain.flags import FLAG_CODES, Flag, Severity
from lab.domain.metrics import METRICS
from lab.domain.result import Comparison, Interval, Quantity, ResultRow
from lab.reports import figures

Compared: TypeAlias = Literal["latency_p50_ns", "energy_gross_j"]
"""The two metrics that have a comparison to the baseline."""

ARTIFACT_KEYS = frozenset(figures.ARTIFACT_KEYS)
POWER_KEYS = frozenset(figures.POWER_KEYS)
MEMORY_KEYS = frozenset({"memory_peak_bytes", "memory_delta_bytes"})

_POWER_CODES = ("power_unreadable", "no_headline_rail", "no_power_source")
_TAIL_KEYS = frozenset({"latency_p90_ns", "latency_p95_ns", "latency_p99_ns"})
_REMEDIES = {
    "no_power_source": "To measure energy, use a board with sensors (`lab devices check NAME` lists what was looked "
                       "for), or put a power meter between supply and board (`lab meters scan` shows what is "
                       "plugged in).",
    "no_headline_rail": "The device reads power, but its profile names no rail as the device's energy: add it again "
                        "with the profile of its board (`lab devices add NAME URL --profile PROFILE`).",
    "power_unreadable": "To measure energy, let the agent's user read the sensor: `lab devices check NAME` names it.",
}


def _stored(row: ResultRow, key: str) -> object:
    owner: object = row if key in ARTIFACT_KEYS else row.result
    return None if owner is None else getattr(owner, key)


def figure(row: ResultRow, key: str) -> float | None:
    """The raw value of a metric in its stored unit, or None where it is absent."""
    stored = _stored(row, key)
    if isinstance(stored, Interval | Quantity):
        return stored.value
    return stored if isinstance(stored, int | float) else None


def bounds(row: ResultRow, key: str) -> tuple[float, float] | None:
    """The ends of the 95 % interval in the stored unit, or None where it is not known."""
    stored = _stored(row, key)
    if isinstance(stored, Interval) and stored.low is not None and stored.high is not None:
        return stored.low, stored.high
    if isinstance(stored, Quantity) and stored.expanded is not None and math.isfinite(stored.expanded):
        return stored.value - stored.expanded, stored.value + stored.expanded
    return None


def show(row: ResultRow, key: str) -> str:
    """The figure for people, without unit; a dash where it is absent."""
    return METRICS[key].show(figure(row, key))


def show_bounds(row: ResultRow, key: str) -> str | None:
    """The 95 % interval for people, without unit: `low – high`, or `± half` where an uncertainty was stated."""
    ends = bounds(row, key)
    if ends is None:
        return None
    metric, stored = METRICS[key], _stored(row, key)
    if isinstance(stored, Quantity):
        return f"± {metric.show(stored.expanded)}"
    return f"{metric.show(ends[0])} – {metric.show(ends[1])}"


def comparison(row: ResultRow, key: Compared) -> Comparison | None:
    """The row's comparison to its baseline for that metric."""
    return row.latency_ratio if key == "latency_p50_ns" else row.energy_ratio


def flags_of(row: ResultRow) -> tuple[Flag, ...]:
    """Every flag that stands beside the row's numbers, worst first, none twice."""
    found = list(row.result.flags) if row.result else []
    for compared in (row.latency_ratio, row.energy_ratio):
        found.extend(compared.flags if compared else ())
    order = [Severity.VOID, Severity.DEGRADED, Severity.INFO]
    return tuple(sorted(dict.fromkeys(found), key=lambda flag: order.index(flag.severity)))


def is_simulated(row: ResultRow) -> bool:
    """Whether the row's power figures come from a model of a device."""
    return row.result is not None and row.result.power_origin is Origin.SIMULATED


def power_scope(row: ResultRow) -> str:
    """What the row's power covers and how it came to be, for people; empty where there is no power."""
    if row.result is None or row.result.power_scope is None:
        return ""
    origin = row.result.power_origin
    shown = "SIMULATED" if origin is Origin.SIMULATED else str(origin or "origin unknown")
    return f"{row.result.power_scope.replace('_', ' ')} power, {shown}"


def absent_code(row: ResultRow, key: str) -> str | None:
    """The flag that says why this figure is absent, or None where no flag does."""
    present = {flag.code for flag in flags_of(row)}
    candidates: tuple[str, ...] = ()
    if key in POWER_KEYS:
        candidates = _POWER_CODES
    elif key in _TAIL_KEYS:
        candidates = ("percentile_unresolved",)
    elif key in MEMORY_KEYS:
        candidates = ("memory_unknown",)
    elif key == "accuracy_ratio":
        candidates = ("no_accuracy",)
    return next((code for code in candidates if code in present), None)


def absent_reason(row: ResultRow, key: str) -> str:
    """Why this figure is absent, in a few words."""
    if key not in ARTIFACT_KEYS and row.result is None:
        return "not measured"
    code = absent_code(row, key)
    return code.replace("_", " ") if code else "not recorded"


def remedy(code: str) -> str:
    """What a flag of absence means and what would change it."""
    return " ".join(part for part in (FLAG_CODES.get(code, ""), _REMEDIES.get(code, "")) if part)


def baseline_ids(rows: Sequence[ResultRow]) -> frozenset[str]:
    """Ids of the cells that others are compared to."""
    compared = (each for row in rows for each in (row.latency_ratio, row.energy_ratio))
    return frozenset(each.baseline_cell_id for each in compared if each is not None)
