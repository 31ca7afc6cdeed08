"""Knowledge distillation: the compressed network learns from the outputs of the uncompressed one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from compressors.base import StepContext, StepError, StepReport, Structure
from compressors.checks import check_number, check_whole
from compressors.layers import example_input, parameter_count
from compressors.prune.narrow import narrow
from compressors.structure import rebuild, unchanged
from compressors.training import LossOf, fit, logits_of, one_tensor, seeded, training_tensors

if TYPE_CHECKING:
    import torch
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class Distill:
    """Train the model on the uncompressed model's softened outputs and on the labels.

    The loss is `alpha` · T² · KL(teacher ‖ student) at `temperature` T plus (1 − `alpha`) · cross-entropy. With
    `width_ratio` 1 the model at hand keeps its layers and weights: recovery after pruning or factorizing. Below 1 a
    fresh student of the same architecture is made, its layers that much narrower (multiples of `round_to`) and
    initialised anew by their own `reset_parameters`.
    """

    temperature: float = 4.0
    alpha: float = 0.7
    width_ratio: float = 1.0
    round_to: int = 8
    epochs: int = 5
    learning_rate: float = 1e-3

    kind: ClassVar[Literal["torch"]] = "torch"
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "Train on the uncompressed model's outputs: recover accuracy, or a narrower student."
    hardware_fields: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        check_number("temperature", self.temperature, above=0, at_most=100)
        check_number("alpha", self.alpha, at_least=0, at_most=1)
        check_number("width_ratio", self.width_ratio, above=0, at_most=1)
        check_whole("round_to", self.round_to, at_least=1)
        check_whole("epochs", self.epochs, at_least=1)
        check_number("learning_rate", self.learning_rate, above=0, at_most=1)

    def apply(self, model: nn.Module, context: StepContext) -> tuple[nn.Module, Structure, StepReport]:
        """Make the student if one is asked for, and train; see `TorchStep`."""
        if context.teacher is None:
            raise StepError("distill needs the uncompressed torch model to learn from, the workload has none")
        inputs, targets = training_tensors(context, "distill")
        model.requires_grad_(True)
        structure, notes = unchanged(), tuple[str, ...]()
        if self.width_ratio < 1:
            structure, notes = self._student(model, context)
        context.progress("asking the teacher", 0.0)
        loss = self.loss(logits_of(context.teacher, inputs), targets)
        fit(model, inputs, loss, epochs=self.epochs, learning_rate=self.learning_rate, context=context,
            what="learning from the uncompressed model")
        numbers = {"parameters_teacher": parameter_count(context.teacher), "parameters_after": parameter_count(model)}
        return model, structure, StepReport(trained_epochs=self.epochs, notes=notes, numbers=numbers)

    def rebuild(self, model: nn.Module, structure: Structure) -> nn.Module:
        """See `TorchStep`."""
        return rebuild(model, structure)

    def loss(self, teacher_logits: torch.Tensor, targets: torch.Tensor) -> LossOf:
        """The loss of student outputs (b, classes, …) for rows of the training data."""
        from torch.nn.functional import cross_entropy, kl_div, log_softmax

        taught = log_softmax(one_tensor(teacher_logits) / self.temperature, dim=1)

        def of(outputs: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
            if outputs.shape[1:] != taught.shape[1:]:
                raise StepError(f"the student's outputs {tuple(outputs.shape[1:])} do not match the teacher's "
                                f"{tuple(taught.shape[1:])}")
            softened = log_softmax(outputs / self.temperature, dim=1)
            positions = outputs[0, 0].numel()  # of a dense output; kl_div averages over the batch only
            soft = kl_div(softened, taught[rows], reduction="batchmean", log_target=True) / positions
            hard = cross_entropy(outputs, targets[rows])
            return self.alpha * self.temperature**2 * soft + (1 - self.alpha) * hard

        return of

    def _student(self, model: nn.Module, context: StepContext) -> tuple[Structure, tuple[str, ...]]:
        """Narrow the model in place and give it fresh weights."""
        from torch_pruning.pruner.importance import GroupMagnitudeImportance

        narrowed = narrow(model, example_input(context), keep_ratio=self.width_ratio, round_to=self.round_to,
                          importance=GroupMagnitudeImportance(p=2))
        with seeded(context.seed):
            for layer in model.modules():
                reset = getattr(layer, "reset_parameters", None)
                if callable(reset):
                    reset()
        note = f"student with {narrowed.channels_after} of {narrowed.channels_before} channels, fresh weights"
        return narrowed.structure, (note,)
