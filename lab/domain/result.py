"""What analysis says: quantities with uncertainty, results per cell, comparisons to the baseline."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from .campaign import Load
from .device import Origin, Scope
from .flags import Flag, Verdict


@dataclass(frozen=True, kw_only=True)
class Contribution:
    """One line of an uncertainty budget; `kind` A was seen in the data, B comes from stated limits (JCGM 100)."""

    name: str
    kind: Literal["A", "B"]
    standard_uncertainty: float
    degrees_of_freedom: float


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """A value with its standard uncertainty in the same unit; expanded U = k·u at 95 %.

    `standard_uncertainty` is None where too few blocks exist to know it.
    """

    value: float
    standard_uncertainty: float | None
    coverage_factor: float | None
    degrees_of_freedom: float | None
    budget: tuple[Contribution, ...] = ()

    @property
    def expanded(self) -> float | None:
        """Half-width of the 95 % interval, or None."""
        if self.standard_uncertainty is None or self.coverage_factor is None:
            return None
        return self.standard_uncertainty * self.coverage_factor


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A point estimate with a 95 % interval; the ends are None where it cannot be known."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, kw_only=True)
class Result:
    """Everything measured about one cell. Times in ns, energy in J per inference, None = absent, see flags.

    `memory_kind` names which peak `memory_peak_bytes` is (rss, pss, …); kinds are never ranked together.
    """

    cell_id: str
    n_blocks: int
    n_inferences: int
    load: Load
    latency_p50_ns: Interval | None
    latency_p90_ns: Interval | None
    latency_p95_ns: Interval | None
    latency_p99_ns: Interval | None
    latency_max_ns: int | None
    throughput_hz: float | None
    load_ns: int | None
    first_inference_ns: int | None
    cpu_per_inference_ns: float | None
    memory_kind: str | None
    memory_peak_bytes: int | None
    memory_delta_bytes: int | None
    deadline_misses: int | None
    idle_power_w: float | None
    mean_power_w: float | None
    energy_gross_j: Quantity | None
    energy_net_j: Quantity | None
    power_scope: Scope | None
    power_origin: Origin | None
    temperature_max_c: float | None
    flags: tuple[Flag, ...]
    verdict: Verdict


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Ratio of one technique to the baseline on one device, paired by block, in log space."""

    metric: str
    cell_id: str
    baseline_cell_id: str
    ratio: float
    low_ratio: float | None
    high_ratio: float | None
    n_blocks: int
    answer: Literal["better", "worse", "not distinguishable", "unknown"]
    subject: str = "this artifact"
    n_devices: int = 1
    flags: tuple[Flag, ...] = field(default=())


@dataclass(frozen=True, kw_only=True)
class ResultRow:
    """One line of the results table: identity, artifact, measurement, comparison; what CLI and board show."""

    campaign: str
    technique: str
    device: str
    profile: str
    seed: int
    settings: str
    preset: str
    artifact_sha256: str | None
    size_bytes: int | None
    parameters: int | None
    macs: int | None
    accuracy_ratio: float | None
    metric: str | None
    compress_ns: int | None
    result: Result | None
    latency_ratio: Comparison | None
    energy_ratio: Comparison | None
    state: str
    failure: str | None
    measured_utc: str | None
