"""Applies a technique to a workload, step by step; whatever was computed before comes from the cache.

After every step there is an artifact with its size, parameters, multiply-accumulates and accuracy, so that each
step's share is known. A torch step starts from the workload's model, rebuilt through the stored structures and
filled with the stored weights, never from what happens to be in memory: cached or not, the outcome is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from compressors.base import HardwareFacts, Progress, StepError
from compressors.layers import FORWARD_ERRORS
from compressors.onnx_model import DEFAULT_IR, DEFAULT_OPSET, first_line
from lab.domain.artifact import Artifact, CompressedModel, StepOutcome
from lab.domain.campaign import Technique
from lab.errors import CompressionError, StoreError
from lab.store.artifacts import ArtifactStore
from lab.workloads.base import Workload

from .cache import Entry, StepCache, cache_key
from .making import Maker, TorchSteps
from .steps import Step, step_params, validate_order, validate_step

PIPELINE_VERSION = 1
"""Changes when export, counting or scoring give other results for the same step."""

_USER_ERRORS = (*FORWARD_ERRORS, ArithmeticError, ImportError, MemoryError, OSError)
"""What the user's model, or a library that walks through it, may raise in the middle of a step."""


def compress(workload: Workload, technique: Technique, seed: int, *, artifacts: ArtifactStore, cache_dir: Path,
             hardware: HardwareFacts, progress: Progress | None = None) -> CompressedModel:
    """The workload's model after all steps of a technique, or as it is for the baseline; its artifact is stored.

    `hardware` says what the target can load and compute. A second call with the same arguments trains, quantizes
    and scores nothing; times are those of the call that did. Raises ConfigError for steps that do not exist or stand
    in the wrong order, CompressionError naming technique and step if one cannot be done.
    """
    validate_order(technique)
    steps = [(spec.name, validate_step(spec)) for spec in technique.steps]
    if workload.torch_model is not None:
        hardware = _export_ceilings(hardware)
    return _Pipeline(workload=workload, technique=technique, seed=seed, artifacts=artifacts, hardware=hardware,
                     cache=StepCache(cache_dir), progress=progress or (lambda _what, _fraction: None)).through(steps)


@dataclass(frozen=True, kw_only=True)
class _Stage:
    """Where a technique stands: the outcome so far, whether it was cached, and the torch steps behind it."""

    key: str
    entry: Entry
    cached: bool
    torch_steps: TorchSteps = ()


@dataclass(frozen=True, kw_only=True)
class _Pipeline:
    workload: Workload
    technique: Technique
    seed: int
    artifacts: ArtifactStore
    hardware: HardwareFacts
    cache: StepCache
    progress: Progress

    def through(self, steps: Sequence[tuple[str, Step]]) -> CompressedModel:
        """Baseline, then every step."""
        stages = [self._baseline(len(steps) + 1)]
        outcomes: list[StepOutcome] = []
        for position, (name, step) in enumerate(steps, start=1):
            stages.append(self._after(stages[-1], name, step, position, len(steps) + 1))
            outcomes.append(_outcome(position, name, step, stages[-1]))
        self.progress("compressed", 1.0)
        parent = stages[-2].entry.artifact_sha256 if steps else None
        return CompressedModel(technique=self.technique.name, seed=self.seed, outcomes=tuple(outcomes),
                               artifact=self._artifact(stages[-1].entry, parent, outcomes))

    def _baseline(self, parts: int) -> _Stage:
        """The uncompressed model as an artifact; the seed plays no part in it."""
        key = cache_key({"pipeline": PIPELINE_VERSION, "workload": self.workload.sha256,
                         "hardware": self._facts(("opset_max", "ir_max"))})
        what = "exporting the uncompressed model"
        return self._stage(key, what, lambda: self._maker(what, 0, parts).baseline(key))

    def _after(self, stage: _Stage, name: str, step: Step, position: int, parts: int) -> _Stage:
        """The stage behind one step."""
        key = cache_key({
            "pipeline": PIPELINE_VERSION, "parent": stage.key, "artifact": stage.entry.artifact_sha256,
            "step": name, "version": step.version, "params": step_params(step), "workload": self.workload.sha256,
            "seed": self.seed, "hardware": self._facts(("opset_max", "ir_max", *step.hardware_fields)),
        })
        what = f"step {position} ({name}) of technique {self.technique.name}"
        maker = self._maker(name, position, parts)
        if step.kind == "onnx":
            made = self._stage(key, what, lambda: maker.onnx_step(key, step, stage.entry.artifact_sha256))
            return replace(made, torch_steps=stage.torch_steps)
        made = self._stage(key, what, lambda: maker.torch_step(key, step, stage.torch_steps))
        return replace(made, torch_steps=(*stage.torch_steps, (step, key)))

    def _stage(self, key: str, what: str, make: Callable[[], Entry]) -> _Stage:
        """From the cache if entry and artifact are there and whole, else made now; errors say what was being done."""
        entry = self.cache.read(key)
        if entry is not None and self._artifact_is_whole(entry.artifact_sha256):
            return _Stage(key=key, entry=entry, cached=True)
        self.cache.forget(key)
        try:
            return _Stage(key=key, entry=make(), cached=False)
        except (StepError, CompressionError) as error:
            raise CompressionError(f"{what} failed on workload {self.workload.name}: {error}") from error
        except _USER_ERRORS as error:
            raise CompressionError(f"{what} failed on workload {self.workload.name}: {type(error).__name__}: "
                                   f"{first_line(error)}") from error

    def _artifact_is_whole(self, sha256: str) -> bool:
        try:
            self.artifacts.verify(sha256)
        except StoreError:
            return False
        return True

    def _maker(self, what: str, position: int, parts: int) -> Maker:
        return Maker(workload=self.workload, seed=self.seed, hardware=self.hardware, artifacts=self.artifacts,
                     cache=self.cache, progress=lambda text, fraction: self.progress(
                         f"{what}: {text}", (position + min(1.0, max(0.0, fraction))) / parts))

    def _facts(self, names: Iterable[str]) -> dict[str, object]:
        return {name: getattr(self.hardware, name) for name in names}

    def _artifact(self, entry: Entry, parent_sha256: str | None, outcomes: Sequence[StepOutcome]) -> Artifact:
        return Artifact(
            sha256=entry.artifact_sha256, size_bytes=entry.size_bytes, format="onnx", opset=entry.opset,
            ir_version=entry.ir_version, parent_sha256=parent_sha256, step=outcomes[-1].step if outcomes else None,
            parameters=entry.parameters, macs=entry.macs, accuracy_ratio=entry.accuracy_ratio,
            metric=None if entry.accuracy_ratio is None else self.workload.metric_name,
            compress_ns=sum(outcome.duration_ns for outcome in outcomes),
        )


def _export_ceilings(hardware: HardwareFacts) -> HardwareFacts:
    """What an export for this target aims at, so that devices whose ceilings lie above it share cache entries."""
    return replace(hardware, opset_max=min(hardware.opset_max or DEFAULT_OPSET, DEFAULT_OPSET),
                   ir_max=min(hardware.ir_max or DEFAULT_IR, DEFAULT_IR))


def _outcome(position: int, name: str, step: Step, stage: _Stage) -> StepOutcome:
    entry = stage.entry
    return StepOutcome(
        position=position, step=name, params=step_params(step), cache_key=stage.key, cached=stage.cached,
        parameters=entry.parameters, macs=entry.macs, size_bytes=entry.size_bytes,
        accuracy_ratio=entry.accuracy_ratio, duration_ns=entry.duration_ns, notes=entry.notes,
    )
