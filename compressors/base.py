"""What a step is and what it is given; top level imports only the standard library."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    import onnx
    from torch import nn

Structure: TypeAlias = dict[str, Any]
"""JSON-able description of what a torch step did to a model's layers; enough to rebuild it from the workload's."""

Progress: TypeAlias = Callable[[str, float], None]
"""(what is going on, fraction done 0–1)."""


DOT_PRODUCT_ISA = frozenset({"avx_vnni", "avx512_vnni", "asimddp"})
"""Instructions that add 8-bit products in 32 bits; older x86 ones saturate at 16 bits with full-range weights."""


class StepError(Exception):
    """A step that cannot be done on this model; the text says which layer and what would help."""


@dataclass(frozen=True, kw_only=True)
class HardwareFacts:
    """What is known of the target's processor; handed in, never asked of a device from here."""

    isa: tuple[str, ...] = ()
    width_multiple: int = 8
    opset_max: int | None = None
    ir_max: int | None = None


class Data(Protocol):
    """The arrays a step may use. Images or signals as float32 (n, …), labels as int64 (n,)."""

    @property
    def train_inputs(self) -> np.ndarray[Any, Any]:
        """(n, *input shape without batch)."""

    @property
    def train_targets(self) -> np.ndarray[Any, Any]:
        """(n,) or (n, …)."""

    @property
    def calibration_inputs(self) -> np.ndarray[Any, Any]:
        """(n, *input shape without batch); a subset of the training data, never of the evaluation data."""


@dataclass(frozen=True, kw_only=True)
class StepContext:
    """Everything a step gets besides the model. `teacher` is the workload's uncompressed model, in eval mode."""

    data: Data | None
    teacher: nn.Module | None
    sample_input: np.ndarray[Any, Any] | None
    seed: int
    hardware: HardwareFacts = field(default_factory=HardwareFacts)
    progress: Progress = lambda _what, _fraction: None


@dataclass(frozen=True, kw_only=True)
class StepReport:
    """What a step did, in numbers and in words."""

    trained_epochs: int = 0
    notes: tuple[str, ...] = ()
    numbers: Mapping[str, float] = field(default_factory=dict)


class TorchStep(Protocol):
    """Works on an `nn.Module`; its parameters are the dataclass's own fields.

    `version` changes with what the step computes. `hardware_fields` names the `HardwareFacts` it reads; it gets to
    see no others, so that its result can be kept for every device that agrees in these.
    """

    kind: ClassVar[Literal["torch"]]
    version: ClassVar[int]
    summary: ClassVar[str]
    hardware_fields: ClassVar[tuple[str, ...]]

    def apply(self, model: nn.Module, context: StepContext) -> tuple[nn.Module, Structure, StepReport]:
        """A new model (the given one may be changed), the structure to rebuild it, and the report."""

    def rebuild(self, model: nn.Module, structure: Structure) -> nn.Module:
        """The model's layers as `apply` left them, weights arbitrary: load_state_dict follows."""


class OnnxStep(Protocol):
    """Works on an ONNX graph; the class variables are `TorchStep`'s."""

    kind: ClassVar[Literal["onnx"]]
    version: ClassVar[int]
    summary: ClassVar[str]
    hardware_fields: ClassVar[tuple[str, ...]]

    def apply(self, model: onnx.ModelProto, context: StepContext) -> tuple[onnx.ModelProto, StepReport]:
        """A new graph and the report."""
