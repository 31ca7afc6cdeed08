"""Questions about a torch model's layers that several steps ask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .base import StepContext, StepError

if TYPE_CHECKING:
    import torch
    from torch import nn

FORWARD_ERRORS = (RuntimeError, ValueError, TypeError, AttributeError, IndexError, KeyError, AssertionError,
                  NotImplementedError)
"""What a user's forward, or a library walking through it, raises when shapes do not fit."""


def example_input(context: StepContext) -> torch.Tensor:
    """One input with its batch axis; raises StepError if the workload has none."""
    import numpy as np
    import torch

    if context.sample_input is not None:
        return torch.tensor(np.asarray(context.sample_input))
    if context.data is not None and len(context.data.train_inputs):
        return torch.tensor(np.asarray(context.data.train_inputs[:1]))
    raise StepError("the workload has neither a sample input nor training data, so its model cannot be traced")


def layer_names(model: nn.Module) -> dict[nn.Module, tuple[str, ...]]:
    """Every layer with all names it has; more than one means that the model uses it in several places."""
    names: dict[nn.Module, tuple[str, ...]] = {}
    for name, module in model.named_modules(remove_duplicate=False):
        names[module] = (*names.get(module, ()), name)
    return names


def output_layers(model: nn.Module, example: torch.Tensor) -> tuple[nn.Module, ...]:
    """The convolutions and linear layers that make the model's output, with nothing of their kind behind them.

    Found by walking the gradient graph back from the output, so sums and concatenations of several are seen.
    """
    from torch import nn

    owners = {id(module.weight): module for module in model.modules()
              if isinstance(module, (nn.modules.conv._ConvNd, nn.Linear))}  # noqa: SLF001
    pending = [tensor.grad_fn for tensor in flat_tensors(model(example)) if tensor.grad_fn is not None]
    seen: set[Any] = set()
    found: list[nn.Module] = []
    while pending:
        node = pending.pop()
        if node in seen:
            continue
        seen.add(node)
        children = [child for child, _ in node.next_functions if child is not None]
        layer = next((owners[key] for key in map(_weight_of, children) if key in owners), None)
        if layer is None:
            pending.extend(children)
        elif layer not in found:
            found.append(layer)
    return tuple(found)


def flat_tensors(outputs: object) -> list[torch.Tensor]:
    """The tensors in a model's output, in order; tuples, lists and dicts are opened."""
    import torch

    if isinstance(outputs, torch.Tensor):
        return [outputs]
    if isinstance(outputs, dict):
        return [tensor for value in outputs.values() for tensor in flat_tensors(value)]
    if isinstance(outputs, (tuple, list)):
        return [tensor for value in outputs for tensor in flat_tensors(value)]
    return []


def check_runs(model: nn.Module, example: torch.Tensor, after: str) -> None:
    """Raise StepError if the model, in eval mode, no longer runs after what was done to it."""
    import torch

    try:
        with torch.no_grad():
            model(example)
    except FORWARD_ERRORS as error:
        raise StepError(f"the model no longer runs after {after}: {str(error)[:200]}") from error


def check_finite(model: nn.Module) -> None:
    """Raise StepError naming the first weight or buffer that holds NaN or infinity."""
    import torch

    for name, tensor in model.state_dict().items():
        if isinstance(tensor, torch.Tensor) and not bool(torch.isfinite(tensor).all()):
            raise StepError(f"the model's {name} holds NaN or infinity; a smaller learning_rate may help")


def parameter_count(model: nn.Module) -> int:
    """Trainable numbers, each counted once."""
    return sum(parameter.numel() for parameter in model.parameters())


def _weight_of(node: Any) -> int | None:
    """Identity of the weight behind a gradient node, looking through one transposition."""
    if type(node).__name__ in ("TBackward0", "TransposeBackward0", "PermuteBackward0"):
        node = node.next_functions[0][0]
    variable = getattr(node, "variable", None)
    return None if variable is None else id(variable)
