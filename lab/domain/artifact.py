"""A model file that can be sent to a device, and where it came from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """One ONNX file, named by its content; `None` means not known, never zero.

    `accuracy_ratio` is the workload's metric on the controller in onnxruntime; `metric` names it.
    """

    sha256: str
    size_bytes: int
    format: Literal["onnx", "coded"]
    opset: int
    ir_version: int
    parent_sha256: str | None
    step: str | None
    parameters: int | None
    macs: int | None
    accuracy_ratio: float | None
    metric: str | None
    compress_ns: int
    decoded_sha256: str | None = None


@dataclass(frozen=True, kw_only=True)
class StepOutcome:
    """What one step of a technique did: the state after it, and what it cost."""

    position: int
    step: str
    params: tuple[tuple[str, object], ...]
    cache_key: str
    cached: bool
    parameters: int | None
    macs: int | None
    size_bytes: int | None
    accuracy_ratio: float | None
    duration_ns: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class CompressedModel:
    """A technique applied to a workload: the final artifact and the way to it."""

    technique: str
    seed: int
    artifact: Artifact
    outcomes: tuple[StepOutcome, ...]
