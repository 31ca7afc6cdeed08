"""Every figure of a result row with its unit, interval and, for power, what it covers and how it came to be."""

from __future__ import annotations

import math
from dataclasses import dataclass

from lab.domain.device import Origin, Scope
from lab.domain.result import Comparison, Interval, Quantity, Result, ResultRow

POWER_KEYS = ("energy_gross_j", "energy_net_j", "mean_power_w", "idle_power_w")
"""Figures that mean nothing without scope and origin."""

ARTIFACT_KEYS = ("size_bytes", "accuracy_ratio", "parameters", "macs", "compress_ns")

RESULT_KEYS = (
    "latency_p50_ns", "latency_p90_ns", "latency_p95_ns", "latency_p99_ns", "latency_max_ns", "throughput_hz",
    "load_ns", "first_inference_ns", "cpu_per_inference_ns", "memory_peak_bytes", "memory_delta_bytes",
    "deadline_misses", *POWER_KEYS, "temperature_max_c",
)

_UNITS = {"_ns": "ns", "_hz": "Hz", "_bytes": "B", "_j": "J", "_w": "W", "_c": "°C"}


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One number in SI, as stored, never rounded; `value` is None where it is not known.

    `low` and `high` end the 95 % interval. `unit` is "1" for counts and ratios. `scope` and `origin` are those of
    power and energy, None for everything else.
    """

    key: str
    unit: str
    value: float | None
    low: float | None = None
    high: float | None = None
    scope: Scope | None = None
    origin: Origin | None = None


def figures_of(row: ResultRow) -> tuple[Figure, ...]:
    """All figures of a row in one fixed order, absent ones too; ratios to the baseline come last."""
    own = [_figure(key, getattr(row, key), None) for key in ARTIFACT_KEYS]
    measured = [_figure(key, getattr(row.result, key) if row.result else None, row.result) for key in RESULT_KEYS]
    ratios = [_ratio("latency_ratio", row.latency_ratio, None), _ratio("energy_ratio", row.energy_ratio, row.result)]
    return (*own, *measured, *ratios)


def unit_of(key: str) -> str:
    """Unit that the end of a name says, "1" for none."""
    return next((unit for suffix, unit in _UNITS.items() if key.endswith(suffix)), "1")


def _figure(key: str, stored: object, result: Result | None) -> Figure:
    value, low, high = _parts(stored)
    is_power = result is not None and key in POWER_KEYS and value is not None
    return Figure(key=key, unit=unit_of(key), value=value, low=low, high=high,
                  scope=result.power_scope if result and is_power else None,
                  origin=result.power_origin if result and is_power else None)


def _parts(stored: object) -> tuple[float | None, float | None, float | None]:
    if isinstance(stored, Interval):
        return stored.value, stored.low, stored.high
    if isinstance(stored, Quantity):
        half = stored.expanded
        return stored.value, *((None, None) if half is None else (stored.value - half, stored.value + half))
    return (stored if isinstance(stored, (int, float)) else None), None, None


def _ratio(key: str, comparison: Comparison | None, power: Result | None) -> Figure:
    if comparison is None or math.isnan(comparison.ratio):
        return Figure(key=key, unit="1", value=None)
    return Figure(key=key, unit="1", value=comparison.ratio, low=comparison.low_ratio, high=comparison.high_ratio,
                  scope=power.power_scope if power else None, origin=power.power_origin if power else None)
