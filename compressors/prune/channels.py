"""Structured pruning: whole channels go, so the network gets smaller and faster without a sparse runtime."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

from compressors.base import StepContext, StepError, StepReport, Structure
from compressors.checks import check_choice, check_number, check_whole
from compressors.layers import example_input, parameter_count
from compressors.structure import rebuild
from compressors.training import cross_entropy_on, fit, one_tensor, seeded, training_tensors

from .narrow import narrow

if TYPE_CHECKING:
    from torch import nn

Importance = Literal["magnitude", "taylor", "bn"]
_GRADIENT_ROWS = 256


@dataclass(frozen=True, kw_only=True)
class PruneChannels:
    """Remove the least important channels of every layer, then fine-tune what is left.

    `ratio` is the share of channels removed, rounded so that each layer keeps a multiple of `round_to`: runtimes
    compute channels in blocks of 8 or 16, and odd widths were slower than the unpruned network. `importance` scores a
    channel by its weights (magnitude), by weight × gradient on training data (taylor), or by the scale of the batch
    normalisation behind it (bn). The layers that make the output keep their width. `epochs: 0` skips fine-tuning.
    """

    ratio: float = 0.5
    round_to: int = 8
    importance: Importance = "magnitude"
    epochs: int = 3
    learning_rate: float = 1e-3

    kind: ClassVar[Literal["torch"]] = "torch"
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "Remove whole channels of least importance (structured pruning), then fine-tune."
    hardware_fields: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        check_number("ratio", self.ratio, above=0, below=1)
        check_whole("round_to", self.round_to, at_least=1)
        check_choice("importance", self.importance, get_args(Importance))
        check_whole("epochs", self.epochs, at_least=0)
        check_number("learning_rate", self.learning_rate, above=0, at_most=1)

    def apply(self, model: nn.Module, context: StepContext) -> tuple[nn.Module, Structure, StepReport]:
        """Prune and fine-tune; see `TorchStep`."""
        model.requires_grad_(True)
        parameters_before = parameter_count(model)
        context.progress("scoring channels", 0.0)
        scores = self._scores(model, context)
        narrowed = narrow(model, example_input(context), keep_ratio=1 - self.ratio, round_to=self.round_to,
                          importance=scores)
        model.zero_grad(set_to_none=True)
        notes: tuple[str, ...] = (f"kept {narrowed.channels_after} of {narrowed.channels_before} channels",)
        epochs = self.epochs if narrowed.layers_narrowed else 0
        if not narrowed.layers_narrowed:
            notes += (f"no layer was narrowed: lower round_to ({self.round_to}) or raise ratio ({self.ratio:g})",)
        if epochs:
            inputs, targets = training_tensors(context, "prune_channels")
            fit(model, inputs, cross_entropy_on(targets), epochs=epochs, learning_rate=self.learning_rate,
                context=context, what="fine-tuning the pruned model")
        numbers = {"channels_before": narrowed.channels_before, "channels_after": narrowed.channels_after,
                   "parameters_before": parameters_before, "parameters_after": parameter_count(model)}
        return model, narrowed.structure, StepReport(trained_epochs=epochs, notes=notes, numbers=numbers)

    def rebuild(self, model: nn.Module, structure: Structure) -> nn.Module:
        """See `TorchStep`."""
        return rebuild(model, structure)

    def _scores(self, model: nn.Module, context: StepContext) -> Any:
        """torch-pruning's scorer, with gradients in place where it needs them."""
        from torch import nn
        from torch_pruning.pruner import importance

        if self.importance == "magnitude":
            return importance.GroupMagnitudeImportance(p=2)
        if self.importance == "bn":
            if not any(isinstance(layer, nn.modules.batchnorm._BatchNorm) for layer in model.modules()):  # noqa: SLF001
                raise StepError("importance bn needs batch normalisation layers, the model has none; use magnitude")
            return importance.BNScaleImportance()
        _take_gradients(model, context)
        return importance.GroupTaylorImportance()


def _take_gradients(model: nn.Module, context: StepContext) -> None:
    """Leave the loss's gradient on a seeded sample of the training data in every parameter."""
    import torch

    inputs, targets = training_tensors(context, "importance taylor")
    rows = torch.randperm(len(inputs), generator=torch.Generator().manual_seed(context.seed))[:_GRADIENT_ROWS]
    model.eval()
    with seeded(context.seed):
        outputs = one_tensor(model(inputs[rows]))
        cross_entropy_on(targets)(outputs, rows).backward()  # type: ignore[no-untyped-call]
    for parameter in model.parameters():
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
