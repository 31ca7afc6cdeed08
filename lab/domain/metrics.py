"""The one table of what can be shown: key, label, unit, direction, and how a value is printed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Metric:
    """How one figure of a result row is named, ordered and printed."""

    key: str
    label: str
    unit: str
    better: Literal["lower", "higher"]
    display_scale: float = 1.0
    digits: int = 3

    def show(self, value: float | None) -> str:
        """The figure for people, without unit; a dash where it is absent."""
        if value is None:
            return "–"
        return f"{value * self.display_scale:.{self.digits}g}"


def show_ratio(ratio: float) -> str:
    """A ratio to the baseline for people; three digits, since a small change is often the whole finding."""
    return f"×{ratio:.3g}"


def _metric(key: str, label: str, unit: str, better: Literal["lower", "higher"], display_scale: float = 1.0,
            digits: int = 3) -> Metric:
    return Metric(key=key, label=label, unit=unit, better=better, display_scale=display_scale, digits=digits)


PERCENTILE_METHOD = "nearest rank (inverse of the empirical distribution)"
"""How a latency percentile is taken of one window; over blocks it is the median of those."""

METRICS: dict[str, Metric] = {
    metric.key: metric
    for metric in (
        _metric("latency_p50_ns", "Latency p50", "ms", "lower", 1e-6),
        _metric("latency_p90_ns", "Latency p90", "ms", "lower", 1e-6),
        _metric("latency_p95_ns", "Latency p95", "ms", "lower", 1e-6),
        _metric("latency_p99_ns", "Latency p99", "ms", "lower", 1e-6),
        _metric("latency_max_ns", "Latency max", "ms", "lower", 1e-6),
        _metric("throughput_hz", "Throughput", "1/s", "higher", digits=4),
        _metric("energy_gross_j", "Energy per inference (gross)", "mJ", "lower", 1e3),
        _metric("energy_net_j", "Energy per inference (net of idle)", "mJ", "lower", 1e3),
        _metric("mean_power_w", "Mean power", "W", "lower"),
        _metric("idle_power_w", "Idle power", "W", "lower"),
        _metric("cpu_per_inference_ns", "CPU time per inference", "ms", "lower", 1e-6),
        _metric("memory_peak_bytes", "Peak memory", "MB", "lower", 1e-6),
        _metric("memory_delta_bytes", "Memory over loaded runtime", "MB", "lower", 1e-6),
        _metric("first_inference_ns", "First inference", "ms", "lower", 1e-6),
        _metric("load_ns", "Load time", "ms", "lower", 1e-6),
        _metric("size_bytes", "Artifact size", "kB", "lower", 1e-3, 4),
        _metric("accuracy_ratio", "Accuracy", "%", "higher", 100.0, 4),
        _metric("parameters", "Parameters", "k", "lower", 1e-3, 4),
        _metric("temperature_max_c", "Highest temperature", "°C", "lower"),
        _metric("compress_ns", "Time to compress", "s", "lower", 1e-9),
        _metric("macs", "Multiply-accumulates", "M", "lower", 1e-6, 4),
    )
}

