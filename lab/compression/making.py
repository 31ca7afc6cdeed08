"""Does one step for the first time: computes, exports, checks, counts, scores, and keeps the outcome."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from compressors.base import HardwareFacts, OnnxStep, Progress, StepContext, StepReport, Structure, TorchStep
from compressors.export import export_onnx
from compressors.macs import count_macs, count_parameters
from compressors.onnx_model import (
    check_onnx,
    load_onnx,
    lower_ir,
    opset_of,
    parse_onnx,
    serialize,
    strip_metadata,
)
from lab.errors import CompressionError
from lab.store.artifacts import ArtifactStore
from lab.workloads.base import Workload

from .accuracy import evaluate
from .cache import Entry, StepCache

if TYPE_CHECKING:
    import onnx
    from torch import nn

TorchSteps: TypeAlias = tuple[tuple[TorchStep, str], ...]
"""Torch steps done so far, in order, each with the key of its entry."""

_STEP_SHARE = 0.9
"""Where the progress bar stands when a step is done and scoring begins."""


@dataclass(frozen=True, kw_only=True)
class Maker:
    """Makes what is not in the cache yet; `progress` hears about this step alone, from 0 to 1.

    Errors: StepError or CompressionError if the step cannot be done, WorkloadError if the user's score fails.
    """

    workload: Workload
    seed: int
    hardware: HardwareFacts
    artifacts: ArtifactStore
    cache: StepCache
    progress: Progress

    def baseline(self, key: str) -> Entry:
        """The uncompressed model: exported from torch, or the user's ONNX file without its metadata."""
        started_ns = time.perf_counter_ns()
        if self.workload.torch_model is not None:
            model = export_onnx(self.workload.torch_model(), self.workload.sample_input, hardware=self.hardware)
        elif self.workload.onnx_path is not None:
            model = strip_metadata(load_onnx(self.workload.onnx_path))
        else:
            raise CompressionError("the workload has neither a torch model nor an ONNX file")
        return self._keep(key, _Made(model=model, duration_ns=time.perf_counter_ns() - started_ns))

    def torch_step(self, key: str, step: TorchStep, before: TorchSteps) -> Entry:
        """Apply a torch step to the workload's model as the steps before it left it."""
        teacher = self._fresh_model()
        started_ns = time.perf_counter_ns()
        model, structure, report = step.apply(self._model_after(before), self._context(step, teacher))
        weights = model.state_dict()
        rebuilt = _filled(step.rebuild(self._rebuilt(before), structure), weights)
        exported = export_onnx(rebuilt, self.workload.sample_input, hardware=self.hardware)
        return self._keep(key, _Made(model=exported, duration_ns=time.perf_counter_ns() - started_ns, report=report,
                                     structure=structure, weights=weights))

    def onnx_step(self, key: str, step: OnnxStep, parent_sha256: str) -> Entry:
        """Apply an ONNX step to the parent artifact."""
        parent = parse_onnx(self.artifacts.path(parent_sha256).read_bytes())
        started_ns = time.perf_counter_ns()
        model, report = step.apply(parent, self._context(step, None))
        return self._keep(key, _Made(model=strip_metadata(model), report=report,
                                     duration_ns=time.perf_counter_ns() - started_ns))

    def _keep(self, key: str, made: _Made) -> Entry:
        """Check, count and score an artifact, store it, then write the entry that names it."""
        lower_ir(made.model, self.hardware)
        check_onnx(made.model, self.hardware)
        data = serialize(made.model)
        accuracy = evaluate(data, self.workload, lambda fraction: self.progress(
            "scoring", _STEP_SHARE + (1 - _STEP_SHARE) * fraction))
        entry = Entry(
            artifact_sha256=self.artifacts.add_bytes(data), size_bytes=len(data), opset=opset_of(made.model),
            ir_version=made.model.ir_version, parameters=count_parameters(made.model),
            macs=count_macs(made.model, tuple(self.workload.sample_input.shape)), accuracy_ratio=accuracy,
            duration_ns=made.duration_ns, notes=made.report.notes,
        )
        if made.structure is None:
            return self.cache.write(key, entry)
        return self.cache.write(key, entry, made.structure, lambda path: _save(path, made.weights))

    def _context(self, step: TorchStep | OnnxStep, teacher: nn.Module | None) -> StepContext:
        shown = {name: getattr(self.hardware, name) for name in step.hardware_fields}
        return StepContext(data=self.workload.data, teacher=teacher, sample_input=self.workload.sample_input,
                           seed=self.seed, hardware=HardwareFacts(**shown), progress=lambda what, fraction:
                           self.progress(what, _STEP_SHARE * fraction))

    def _fresh_model(self) -> nn.Module:
        if self.workload.torch_model is None:
            raise CompressionError("the step works on a torch model, but the workload came as an ONNX file; bring "
                                   "the torch model, or use steps that work on ONNX files, such as quantize_static")
        return self.workload.torch_model()

    def _rebuilt(self, before: TorchSteps) -> nn.Module:
        """The workload's model in the shape earlier steps gave it, their weights not yet loaded."""
        model = self._fresh_model()
        for step, key in before:
            model = step.rebuild(model, self.cache.structure(key))
        return model

    def _model_after(self, before: TorchSteps) -> nn.Module:
        import torch

        model = self._rebuilt(before)
        if not before:
            return model
        path = self.cache.state_path(before[-1][1])
        return _filled(model, torch.load(path, map_location="cpu", weights_only=True))


@dataclass(frozen=True, kw_only=True)
class _Made:
    """An artifact not yet stored; structure and weights only from a torch step."""

    model: onnx.ModelProto
    duration_ns: int
    report: StepReport = field(default_factory=StepReport)
    structure: Structure | None = None
    weights: Mapping[str, Any] = field(default_factory=dict)


def _filled(model: nn.Module, weights: Mapping[str, Any]) -> nn.Module:
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise CompressionError(f"a step's weights do not fit the model it was rebuilt into: {str(error)[:300]}; "
                               "does the workload build the same model at each call?") from error
    return model.eval()


def _save(path: Path, weights: Mapping[str, Any]) -> None:
    import torch

    torch.save(dict(weights), path)
