"""What a user asks for: techniques, devices, settings and how hard to measure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

ParamValue: TypeAlias = str | int | float | bool | None | tuple[str | int | float, ...]


@dataclass(frozen=True, kw_only=True)
class StepSpec:
    """A step by name with the parameters the user gave; defaults live in the step class."""

    name: str
    params: tuple[tuple[str, ParamValue], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Technique:
    """An ordered list of steps; no steps is the baseline."""

    name: str
    steps: tuple[StepSpec, ...] = ()

    @property
    def is_baseline(self) -> bool:
        """True for the technique that changes nothing."""
        return not self.steps


@dataclass(frozen=True, kw_only=True)
class Load:
    """How inferences arrive: one after the other, or at a rate with a deadline each."""

    kind: Literal["back_to_back", "paced"] = "back_to_back"
    rate_hz: float | None = None
    deadline_ns: int | None = None


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One point of the campaign's settings; lists in the file expand to a cross product of these."""

    runtime: str = "onnx_runtime"
    threads: int = 1
    batch: int = 1
    load: Load = field(default_factory=Load)
    device_state: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """How a number is made; the presets are in `PROTOCOLS`."""

    preset: Literal["quick", "standard", "publish"]
    window_ns: int
    warmup_ns: int
    idle_ns: int
    inferences_min: int
    sample_rate_hz: float
    target_ci_ratio: float
    blocks_min: int
    blocks_max: int
    budget_ns: int | None = None
    order_seed: int = 0


_S = 1_000_000_000

PROTOCOLS: dict[str, Protocol] = {
    "quick": Protocol(preset="quick", window_ns=_S // 2, warmup_ns=_S // 5, idle_ns=_S // 2, inferences_min=20,
                      sample_rate_hz=50.0, target_ci_ratio=0.25, blocks_min=3, blocks_max=3),
    "standard": Protocol(preset="standard", window_ns=10 * _S, warmup_ns=2 * _S, idle_ns=30 * _S,
                         inferences_min=100, sample_rate_hz=50.0, target_ci_ratio=0.05, blocks_min=6,
                         blocks_max=20),
    "publish": Protocol(preset="publish", window_ns=60 * _S, warmup_ns=10 * _S, idle_ns=30 * _S,
                        inferences_min=100, sample_rate_hz=50.0, target_ci_ratio=0.015, blocks_min=6,
                        blocks_max=40),
}
"""Presets: `quick` is a look (and flagged so), `standard` aims at ± 5 %, `publish` at ± 1.5 % with the
60 s windows MLPerf Power asks for (arXiv 2410.12032)."""


@dataclass(frozen=True, kw_only=True)
class Constraints:
    """Limits a technique must keep; `None` means no limit was given."""

    accuracy_drop_max_ratio: float | None = None
    latency_p99_max_ns: int | None = None
    memory_max_bytes: int | None = None
    power_max_w: float | None = None


@dataclass(frozen=True, kw_only=True)
class Campaign:
    """Everything a campaign file says, validated, with every default written out."""

    name: str
    owner: str
    workload: str
    techniques: tuple[Technique, ...]
    seeds: tuple[int, ...]
    devices: tuple[str, ...]
    settings: tuple[Settings, ...]
    protocol: Protocol
    constraints: Constraints = field(default_factory=Constraints)
