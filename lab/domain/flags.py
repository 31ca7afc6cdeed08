"""Flags: what is wrong or missing with a number, as data that travels with it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How much a flag takes away from the number it stands beside."""

    INFO = "info"
    DEGRADED = "degraded"
    VOID = "void"


class Verdict(StrEnum):
    """May a result be used? Computed from its flags, never set by hand."""

    VALID = "valid"
    DEGRADED = "degraded"
    VOID = "void"


@dataclass(frozen=True, kw_only=True)
class Flag:
    """One reason to read a number with care; `touched_ns` is the measured time it concerns."""

    code: str
    severity: Severity
    detail: str
    touched_ns: int | None = None


FLAG_CODES: dict[str, str] = {
    "no_power_source": "The device has no power sensor the lab can read and no meter is attached.",
    "no_headline_rail": "Power was recorded, but the device's profile counts none of its rails as the energy figure.",
    "probe_unknown": "The plan named a probe that the agent does not have.",
    "power_unreadable": "A power sensor exists but could not be read (permission or driver error).",
    "simulated_power": "Power comes from a model of a device, not from a sensor.",
    "quick_look": "Measured with the quick preset: seconds, not enough for a claim.",
    "few_blocks": "Too few blocks for a confidence interval.",
    "interval_wide": "The interval is wider than the campaign asked for.",
    "percentile_unresolved": "Too few inferences in a window to tell a high latency percentile from the maximum.",
    "throttled": "The device lowered its clocks during a window.",
    "temperature_unknown": "No temperature sensor could be read.",
    "frequency_unknown": "No clock frequency could be read.",
    "memory_unknown": "The kernel did not report the worker's peak memory.",
    "output_not_finite": "The model's output holds NaN or infinity.",
    "worker_died": "The measuring process ended before its window did.",
    "window_short": "Fewer inferences than the plan's minimum fitted into the window.",
    "window_missing": "A planned window never arrived.",
    "window_failed": "A window ended without usable numbers.",
    "idle_unknown": "Idle power was not measured beside the window, so there is no net energy.",
    "sampler_overrun": "The sampler could not keep its rate.",
    "energy_gap": "Power samples are missing inside the window.",
    "counter_reset": "An energy counter went backwards and was not a wrap.",
    "no_accuracy": "The workload has no evaluation data.",
    "state_not_set": "A requested device state could not be set.",
    "batch_mismatch": "The sample input's batch differs from the one asked for.",
}
"""Every code the lab may attach and what it means to a reader."""


def verdict_of(flags: Iterable[Flag]) -> Verdict:
    """Worst severity wins: any void flag voids, any degraded flag degrades."""
    severities = {flag.severity for flag in flags}
    if Severity.VOID in severities:
        return Verdict.VOID
    if Severity.DEGRADED in severities:
        return Verdict.DEGRADED
    return Verdict.VALID
