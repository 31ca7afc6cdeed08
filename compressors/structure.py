"""What a torch step did to a model's layers, as plain JSON, and how to do the same to a fresh copy.

Two kinds of entry, by the layer's name: `resized` (some dimensions changed in place) and `sequence` (replaced by
several layers, one after the other). Weights are not kept here: `rebuild` makes room for them and a state dict
fills it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .base import StepError, Structure

if TYPE_CHECKING:
    from torch import nn

FORMAT = 1
_ATTRIBUTES = (
    "in_channels", "out_channels", "groups", "in_features", "out_features", "num_features", "num_channels",
    "normalized_shape", "num_parameters", "embedding_dim", "embed_dim", "kdim", "vdim", "head_dim", "num_heads",
    "input_size", "hidden_size",
)
_SEQUENCE_TYPES = ("Conv1d", "Conv2d", "Linear")


def unchanged() -> Structure:
    """The structure of a step that changed weights only."""
    return {"format": FORMAT, "layers": {}}


def layer_shapes(model: nn.Module) -> Structure:
    """Dimensions and tensor shapes of every layer that has any, by name; taken before and after a change."""
    shapes: Structure = {}
    for name, module in model.named_modules():
        tensors = {key: list(value.shape) for store in (module._parameters, module._buffers)  # noqa: SLF001
                   for key, value in store.items() if value is not None}
        attributes = {key: _plain(getattr(module, key)) for key in _ATTRIBUTES
                      if isinstance(getattr(module, key, None), (int, tuple))}
        if tensors or attributes:
            shapes[name] = {"type": type(module).__name__, "attributes": attributes, "tensors": tensors}
    return shapes


def resized(before: Structure, after: Structure) -> Structure:
    """The structure that leads from one `layer_shapes` to a later one of the same model."""
    layers = {name: {"kind": "resized", **shape} for name, shape in after.items() if shape != before.get(name)}
    return {"format": FORMAT, "layers": layers}


def replaced(sequences: Mapping[str, Sequence[nn.Module]]) -> Structure:
    """The structure that puts these layers, in order, where the layers of these names were."""
    layers = {name: {"kind": "sequence", "layers": [_description(layer) for layer in sequence]}
              for name, sequence in sequences.items()}
    return {"format": FORMAT, "layers": layers}


def rebuild(model: nn.Module, structure: Structure) -> nn.Module:
    """Bring a fresh model into the recorded shape; its changed weights are zero until a state dict is loaded.

    Raises StepError if the structure does not belong to this model.
    """
    if structure.get("format") != FORMAT:
        raise StepError(f"a stored structure has format {structure.get('format')!r}, this version reads {FORMAT}")
    for name, entry in structure["layers"].items():
        try:
            module = model.get_submodule(name)
        except AttributeError:
            raise StepError(f"the stored structure names layer {name!r}, which the model does not have; "
                            "was the workload's model changed?") from None
        if entry["kind"] == "sequence":
            model = replace_layer(model, name, _sequence(entry["layers"]))
        else:
            _resize(module, entry)
    return model


def replace_layer(model: nn.Module, name: str, layer: nn.Module) -> nn.Module:
    """Put a layer where another was and return the model; the empty name stands for the model itself."""
    if not name:
        return layer
    model.set_submodule(name, layer)
    return model


def _resize(module: nn.Module, entry: Structure) -> None:
    import torch
    from torch import nn

    for key, value in entry["attributes"].items():
        setattr(module, key, tuple(value) if isinstance(value, list) else value)
    for key, shape in entry["tensors"].items():
        old = getattr(module, key)
        new = torch.zeros(shape, dtype=old.dtype)
        setattr(module, key, nn.Parameter(new, old.requires_grad) if isinstance(old, nn.Parameter) else new)


def _description(layer: nn.Module) -> Structure:
    kind = type(layer).__name__
    if kind == "Linear":
        names = ["in_features", "out_features"]
    else:
        names = ["in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "padding_mode"]
    arguments = {name: _plain(getattr(layer, name)) for name in names}
    return {"type": kind, "arguments": {**arguments, "bias": getattr(layer, "bias", None) is not None}}


def _sequence(descriptions: Sequence[Structure]) -> nn.Module:
    from torch import nn

    layers: list[nn.Module] = []
    for description in descriptions:
        if description["type"] not in _SEQUENCE_TYPES:
            raise StepError(f"a stored structure holds a layer of type {description['type']!r}, "
                            f"expected one of {', '.join(_SEQUENCE_TYPES)}")
        arguments = {key: tuple(value) if isinstance(value, list) else value
                     for key, value in description["arguments"].items()}
        layers.append(getattr(nn, description["type"])(**arguments))
    return nn.Sequential(*layers)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
