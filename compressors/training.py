"""The one training loop of all torch steps: seeded, Adam with a cosine schedule, one report per epoch."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeAlias

from .base import StepContext, StepError

if TYPE_CHECKING:
    import torch
    from torch import nn

BATCH = 128
_EVALUATION_BATCH = 512

LossOf: TypeAlias = "Callable[[torch.Tensor, torch.Tensor], torch.Tensor]"
"""(outputs of a batch, its row numbers in the training data) → scalar loss."""


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Inside, torch's global random numbers come from this seed; outside, they go on as if nothing had been."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def training_tensors(context: StepContext, step: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Training inputs (n, …) and class labels (n, …) as int64; raises StepError where there are none to use."""
    import numpy as np
    import torch

    data = context.data
    if data is None or len(data.train_inputs) == 0:
        raise StepError(f"{step} trains, but the workload has no training data; give it some as `train`, "
                        "or set epochs: 0 (all steps but distill)")
    targets = np.asarray(data.train_targets)
    if targets.dtype.kind not in "iu" or len(targets) != len(data.train_inputs):
        raise StepError(f"{step} trains on class labels: expected {len(data.train_inputs)} whole numbers, "
                        f"got train_targets of type {targets.dtype} and shape {targets.shape}")
    return torch.tensor(np.asarray(data.train_inputs)), torch.tensor(targets.astype(np.int64))


def cross_entropy_on(targets: torch.Tensor) -> LossOf:
    """Cross-entropy of outputs (b, classes, …) against the labels of these rows."""
    from torch.nn.functional import cross_entropy

    return lambda outputs, rows: cross_entropy(outputs, targets[rows])


def fit(model: nn.Module, inputs: torch.Tensor, loss_of: LossOf, *, epochs: int, learning_rate: float,
        context: StepContext, what: str) -> None:
    """Train in place and leave the model in eval mode; the same seed on the same machine gives the same weights.

    Raises StepError if the loss stops being a finite number.
    """
    import torch

    order = torch.Generator().manual_seed(context.seed)
    batches = _batch_count(len(inputs))
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=max(1, epochs * batches))
    with seeded(context.seed):
        model.train()
        for epoch in range(epochs):
            rows_of_epoch = torch.randperm(len(inputs), generator=order)
            total = 0.0
            for batch in range(batches):
                rows = rows_of_epoch[batch * BATCH:(batch + 1) * BATCH]
                optimizer.zero_grad()
                loss = loss_of(one_tensor(model(inputs[rows])), rows)
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                schedule.step()
                total += float(loss.detach())
            _check_loss(total, epoch + 1, what, learning_rate)
            context.progress(what, (epoch + 1) / epochs)
    model.zero_grad(set_to_none=True)
    model.eval()


def logits_of(model: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
    """Outputs of a model in eval mode for all inputs, without gradients."""
    import torch

    model.eval()
    with torch.no_grad():
        return torch.cat([one_tensor(model(part)) for part in torch.split(inputs, _EVALUATION_BATCH)])


def one_tensor(outputs: object) -> torch.Tensor:
    """The model's output, which training needs to be one tensor of class scores; raises StepError otherwise."""
    import torch

    if not isinstance(outputs, torch.Tensor) or outputs.ndim < 2:
        got = f"shape {tuple(outputs.shape)}" if isinstance(outputs, torch.Tensor) else type(outputs).__name__
        raise StepError(f"training needs a model with one output tensor (n, classes, …), got {got}")
    return outputs


def _batch_count(rows: int) -> int:
    """A last batch of one row is left out where there are others: batch normalisation cannot train on it."""
    whole, rest = divmod(rows, BATCH)
    return whole + (rest > 1 or whole == 0)


def _check_loss(total: float, epoch: int, what: str, learning_rate: float) -> None:
    if not abs(total) < float("inf"):
        raise StepError(f"{what}: the loss was not a finite number in epoch {epoch} "
                        f"(learning_rate {learning_rate:g}); try a smaller learning_rate")
