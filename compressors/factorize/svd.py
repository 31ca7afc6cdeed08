"""Low-rank factorization: one layer becomes two thinner ones by singular value decomposition of its weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from compressors.base import StepContext, StepReport, Structure
from compressors.checks import check_number, check_whole
from compressors.layers import check_finite, check_runs, example_input, layer_names, parameter_count
from compressors.structure import rebuild, replace_layer, replaced, unchanged
from compressors.training import cross_entropy_on, fit, training_tensors

from .rank import pays, rank_for_energy, rounded_rank

if TYPE_CHECKING:
    import torch
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class FactorizeSvd:
    """Replace linear layers and convolutions by two factors of lower rank, then fine-tune.

    A linear layer becomes two; a k×k convolution becomes a k×k one to `rank` channels and a 1×1 one behind it. The
    rank holds the share `energy` of the squared singular values, raised to `rank_min` and rounded up to a multiple of
    `round_to`. A layer is replaced only where that lowers its weights and multiply-accumulates. Grouped convolutions
    and layers used in several places stay. `epochs: 0` skips fine-tuning.
    """

    energy: float = 0.9
    round_to: int = 8
    rank_min: int = 8
    epochs: int = 3
    learning_rate: float = 1e-3

    kind: ClassVar[Literal["torch"]] = "torch"
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "Split layers into two of lower rank (singular value decomposition), then fine-tune."
    hardware_fields: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        check_number("energy", self.energy, above=0, at_most=1)
        check_whole("round_to", self.round_to, at_least=1)
        check_whole("rank_min", self.rank_min, at_least=1)
        check_whole("epochs", self.epochs, at_least=0)
        check_number("learning_rate", self.learning_rate, above=0, at_most=1)

    def apply(self, model: nn.Module, context: StepContext) -> tuple[nn.Module, Structure, StepReport]:
        """Factorize and fine-tune; see `TorchStep`."""
        model.requires_grad_(True)
        model.eval()
        check_finite(model)
        parameters_before = parameter_count(model)
        context.progress("decomposing weights", 0.0)
        factors, notes = self._factors(model)
        for name, pair in factors.items():
            model = replace_layer(model, name, _in_order(pair))
        check_runs(model, example_input(context), "factorizing its layers; one of them may use the weights of "
                                                  "another directly, as nn.TransformerEncoderLayer does")
        if not factors:
            notes += (f"no layer was factorized: at energy {self.energy:g} none would shrink; lower it",)
        epochs = self.epochs if factors else 0
        if epochs:
            inputs, targets = training_tensors(context, "factorize_svd")
            fit(model, inputs, cross_entropy_on(targets), epochs=epochs, learning_rate=self.learning_rate,
                context=context, what="fine-tuning the factorized model")
        structure = replaced(factors) if factors else unchanged()
        numbers = {"layers_factorized": len(factors), "parameters_before": parameters_before,
                   "parameters_after": parameter_count(model)}
        return model, structure, StepReport(trained_epochs=epochs, notes=notes, numbers=numbers)

    def rebuild(self, model: nn.Module, structure: Structure) -> nn.Module:
        """See `TorchStep`."""
        return rebuild(model, structure)

    def _factors(self, model: nn.Module) -> tuple[dict[str, tuple[nn.Module, nn.Module]], tuple[str, ...]]:
        """The pair of layers for every layer worth replacing, by name, and what has to be said about the others."""
        from torch import nn

        weights = [id(parameter) for _, parameter in model.named_parameters(remove_duplicate=False)]
        factors: dict[str, tuple[nn.Module, nn.Module]] = {}
        notes: tuple[str, ...] = ()
        for layer, names in layer_names(model).items():
            # Exact types: a subclass may use its weight in ways that a pair of layers does not offer.
            if type(layer) not in (nn.Linear, nn.Conv1d, nn.Conv2d):
                continue
            if getattr(layer, "groups", 1) != 1:
                notes += (f"{names[0]} was left: a convolution in groups",)
            elif len(names) > 1 or weights.count(id(layer.weight)) > 1:
                notes += (f"{names[0]} was left: the model uses it in several places",)
            elif (found := self._low_rank(layer)) is not None:
                factors[names[0]] = _pair(layer, *found)
                notes += (f"{names[0]}: rank {found[0].shape[0]}",)
        return factors, notes

    def _low_rank(self, layer: nn.Module) -> tuple[torch.Tensor, torch.Tensor] | None:
        """Factors (rank, fan_in) and (out, rank) of the layer's weight, or None where they would not be smaller."""
        import torch

        weight = layer.get_parameter("weight").detach()
        matrix = weight.reshape(weight.shape[0], -1)
        left, values, right = torch.linalg.svd(matrix.double(), full_matrices=False)
        rank = rounded_rank(rank_for_energy(values.tolist(), self.energy), round_to=self.round_to,
                            rank_min=self.rank_min)
        if not pays(rank, matrix.shape[1], matrix.shape[0]):
            return None
        root = values[:rank].sqrt()
        return root[:, None] * right[:rank], left[:, :rank] * root


def _pair(layer: nn.Module, first: torch.Tensor, second: torch.Tensor) -> tuple[nn.Module, nn.Module]:
    """Layers holding the two factors; the bias goes behind the second."""
    import torch

    thin, wide = _empty_pair(layer, first.shape[0])
    with torch.no_grad():
        for target, factor in ((thin, first), (wide, second)):
            weight = target.get_parameter("weight")
            weight.copy_(factor.reshape(weight.shape))
        if layer.bias is not None:
            wide.get_parameter("bias").copy_(layer.get_parameter("bias"))
    return thin, wide


def _empty_pair(layer: nn.Module, rank: int) -> tuple[nn.Module, nn.Module]:
    from torch import nn

    bias = layer.bias is not None
    if isinstance(layer, nn.Linear):
        return nn.Linear(layer.in_features, rank, bias=False), nn.Linear(rank, layer.out_features, bias=bias)
    make: Any = type(layer)
    spatial = {name: getattr(layer, name) for name in ("stride", "padding", "dilation", "padding_mode")}
    return (make(layer.in_channels, rank, layer.kernel_size, bias=False, **spatial),
            make(rank, layer.out_channels, 1, bias=bias))


def _in_order(pair: tuple[nn.Module, nn.Module]) -> nn.Module:
    from torch import nn

    return nn.Sequential(*pair)
