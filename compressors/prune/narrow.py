"""Remove channels from a model with torch-pruning's dependency graph; shared by pruning and by student models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from compressors.base import StepError, Structure
from compressors.layers import FORWARD_ERRORS, flat_tensors, output_layers
from compressors.onnx_model import first_line
from compressors.quiet import quiet_libraries
from compressors.structure import layer_shapes, resized

from .widths import kept_width

if TYPE_CHECKING:
    import torch
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class Narrowed:
    """What became of the widths; `kept_all` counts layers that could have been narrowed but were not."""

    structure: Structure
    layers_narrowed: int
    layers_kept_all: int
    channels_before: int
    channels_after: int


def narrow(model: nn.Module, example: torch.Tensor, *, keep_ratio: float, round_to: int,
           importance: Any) -> Narrowed:
    """Narrow every layer in place but those that make the output; weights of kept channels stay.

    `importance` is torch-pruning's: a group of coupled channels in, one score per channel out, or None to keep all.
    Raises StepError if the model cannot be traced or no longer runs.
    """
    import torch_pruning

    model.eval()
    before = layer_shapes(model)
    try:
        outputs = output_layers(model, example)
        expected = [tuple(tensor.shape) for tensor in flat_tensors(model(example))]
        widths = {layer: width for layer in model.modules()
                  if layer not in outputs and (width := _width(layer)) is not None}
        if not outputs or not widths:
            raise StepError("no layer can be narrowed: the model has no convolution or linear layer in front of "
                            "the ones that make its output")
        with quiet_libraries():
            # Own empty dicts: the library's defaults are shared between all its pruners.
            torch_pruning.pruner.BasePruner(
                model, example, importance, pruning_ratio=0.0, ignored_layers=list(outputs),
                pruning_ratio_dict={layer: _removed_ratio(width, keep_ratio, round_to)
                                    for layer, width in widths.items()},
                in_channel_groups={}, out_channel_groups={}, num_heads={}, channel_groups={},
                root_module_types=[torch_pruning.ops.TORCH_CONV, torch_pruning.ops.TORCH_LINEAR],
            ).step()
        got = [tuple(tensor.shape) for tensor in flat_tensors(model(example))]
    except FORWARD_ERRORS as error:
        raise StepError(f"channels cannot be removed from this model ({first_line(error)}); a forward with sizes "
                        "written as numbers, such as view(-1, 1024), is the usual cause: use flatten(1)") from error
    if got != expected:
        raise StepError(f"removing channels changed the model's output from {expected} to {got}")
    after = {layer: _width(layer) or 0 for layer in widths}
    kept_all = sum(after[layer] == width for layer, width in widths.items())
    return Narrowed(structure=resized(before, layer_shapes(model)), layers_narrowed=len(widths) - kept_all,
                    layers_kept_all=kept_all, channels_before=sum(widths.values()),
                    channels_after=sum(after.values()))


def _width(layer: nn.Module) -> int | None:
    """Output channels of a convolution or linear layer, None for other layers."""
    width = getattr(layer, "out_channels", None) or getattr(layer, "out_features", None)
    return width if isinstance(width, int) else None


def _removed_ratio(width: int, keep_ratio: float, round_to: int) -> float:
    """The library keeps int(width · (1 − ratio)): half a channel more makes that the number wanted."""
    kept = kept_width(width, keep_ratio, round_to)
    return 0.0 if kept >= width else 1.0 - (kept + 0.5) / width
