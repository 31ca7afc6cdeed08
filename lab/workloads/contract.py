"""What a user's own workload must offer, and the checks that hold it to that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from lab.errors import WorkloadError

from .base import Array, top1_accuracy
from .user_code import UserCode

if TYPE_CHECKING:
    from torch import nn

CONTRACT = """\
A workload is an object with these attributes (or a function without arguments that returns one):
    model         torch.nn.Module on the CPU, trained; takes one tensor, returns one tensor
    sample_input  one input with its batch dimension: shape (1, ...)
    train         (x, y): inputs (n, ...) and targets (n, ...), as torch tensors or numpy arrays
    calibration   optional: inputs (m, ...) that set quantizer ranges; left out, the first 320 of train
    evaluation    optional: (x, y) held out; left out, accuracy is not known
    metric        optional: metric(outputs, targets) -> float, numpy arrays in, 1.0 is perfect and higher
                  is better; left out, top-1 accuracy of outputs (n, classes) on integer targets (n,)
    metric_name   optional: what tables call it
Inputs are float32 (other float types are converted) or int64 (other integer types are converted)."""

REQUIRED = ("model", "sample_input", "train")
OPTIONAL = ("calibration", "evaluation", "metric", "metric_name")
_CLOSE = 0.8
_MISSING = object()


@dataclass(frozen=True, kw_only=True, eq=False)
class Parts:
    """A user's workload after every check, arrays as float32 or int64."""

    model: nn.Module
    sample_input: Array
    train: tuple[Array, Array]
    calibration: Array | None
    evaluation: tuple[Array, Array] | None
    metric: Callable[[Any, Any], Any] | None
    metric_name: str


def check_parts(given: object, where: str) -> Parts:
    """Check `given` against the contract; `where` names it in errors.

    Raises WorkloadError naming the attribute, what was expected and what was found.
    """
    import torch

    found = _attributes(given, where)
    model = found["model"]
    if not isinstance(model, torch.nn.Module):
        fail(where, "model", "a torch.nn.Module", _kind(model))
    elsewhere = sorted({tensor.device.type for tensor in model.state_dict().values()
                        if isinstance(tensor, torch.Tensor)} - {"cpu"})
    if elsewhere:
        fail(where, "model", "weights on the CPU (call model.cpu())", f"weights on {elsewhere[0]}")
    sample = to_array(found["sample_input"], where, "sample_input")
    if sample.ndim == 0 or sample.shape[0] != 1:
        fail(where, "sample_input", "shape (1, ...), one input with its batch dimension", f"shape {sample.shape}")
    train = _pair(found["train"], where, "train", sample)
    given_calibration, given_evaluation, metric, metric_name = (found[name] for name in OPTIONAL)
    calibration = None if given_calibration is None else _inputs(given_calibration, where, "calibration", sample)
    evaluation = None if given_evaluation is None else _pair(given_evaluation, where, "evaluation", sample)
    if metric is not None and not callable(metric):
        fail(where, "metric", "a function metric(outputs, targets) -> float", _kind(metric))
    if not isinstance(metric_name, (str, type(None))):
        fail(where, "metric_name", "text", _kind(metric_name))
    return Parts(model=model, sample_input=sample, train=train, calibration=calibration, evaluation=evaluation,
                 metric=metric, metric_name=metric_name or ("top-1 accuracy" if metric is None else "own metric"))


def check_top1(outputs: Array, targets: Array, where: str, field: str) -> None:
    """Raises WorkloadError where top-1 accuracy makes no sense for these outputs and targets."""
    own = "or give a metric of your own"
    if outputs.ndim != 2:
        fail(where, "model", f"outputs (n, classes) for top-1 accuracy, {own}", f"outputs of shape {outputs.shape}")
    if targets.ndim != 1 or targets.dtype.kind != "i":
        fail(where, field, f"integer targets of shape (n,) for top-1 accuracy, {own}",
             f"{targets.dtype} of shape {targets.shape}")
    low, high = int(targets.min()), int(targets.max())
    if low < 0 or high >= outputs.shape[1]:
        fail(where, field, f"targets in 0 to {outputs.shape[1] - 1}, as the model has {outputs.shape[1]} outputs",
             f"targets from {low} to {high}")


def make_score(metric: Callable[[Any, Any], Any] | None, where: str) -> Callable[[Array, Array], float]:
    """The user's metric with its answer checked, or top-1 accuracy."""
    if metric is None:
        return top1_accuracy

    def score(outputs: Array, targets: Array) -> float:
        with UserCode(f"{where}: metric(outputs, targets) failed"):
            value = float(metric(outputs, targets))
        if not np.isfinite(value) or value > 1.0:
            fail(where, "metric", "a finite number, 1.0 being perfect and higher being better", repr(value))
        return value

    return score


def to_array(value: object, where: str, field: str) -> Array:
    """A torch tensor or numpy array as float32 or int64, finite and not empty."""
    import torch

    if isinstance(value, torch.Tensor):
        tensor = value.detach().cpu()
        array = (tensor.float() if tensor.is_floating_point() else tensor).numpy()
    elif isinstance(value, np.ndarray):
        array = value
    else:
        fail(where, field, "a torch tensor or a numpy array", _kind(value))
    if array.dtype.kind == "f":
        array = array.astype(np.float32)
    elif array.dtype.kind in "iub":
        array = array.astype(np.int64)
    else:
        fail(where, field, "numbers (float or integer)", f"an array of {array.dtype}")
    if array.size == 0:
        fail(where, field, "at least one value", f"an empty array of shape {array.shape}")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        fail(where, field, "finite numbers", "NaN or infinity (float32)")
    return np.ascontiguousarray(array)


def fail(where: str, field: str, expected: str, got: str) -> NoReturn:
    """Raise the WorkloadError every broken clause of the contract ends in."""
    raise WorkloadError(f"{where}: {field}: expected {expected}, got {got}.\n\n{CONTRACT}")


def _attributes(given: object, where: str) -> dict[str, Any]:
    with UserCode(f"{where}: reading its attributes failed"):
        found = {name: getattr(given, name, _MISSING) for name in (*REQUIRED, *OPTIONAL)}
        names = [name for name in dir(given) if not name.startswith("_") and name not in found]
    for name in (*REQUIRED, *OPTIONAL):
        if found[name] is not _MISSING:
            continue
        close = get_close_matches(name, names, 1, _CLOSE)
        if close:
            fail(where, name, f"an attribute of that name (did you write {close[0]!r} for {name!r}?)", "none")
        if name in REQUIRED:
            fail(where, name, "an attribute of that name", f"{_kind(given)} without it")
        found[name] = None
    return found


def _pair(value: object, where: str, field: str, sample: Array) -> tuple[Array, Array]:
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        fail(where, field, "a pair (x, y)", _kind(value))
    inputs = _inputs(value[0], where, f"{field}[0]", sample)
    targets = to_array(value[1], where, f"{field}[1]")
    if targets.ndim == 0 or len(targets) != len(inputs):
        fail(where, f"{field}[1]", f"one target for each of the {len(inputs)} inputs", f"shape {targets.shape}")
    return inputs, targets


def _inputs(value: object, where: str, field: str, sample: Array) -> Array:
    array = to_array(value, where, field)
    if array.ndim == 0 or array.shape[1:] != sample.shape[1:]:
        expected = ", ".join(["n", *map(str, sample.shape[1:])])
        fail(where, field, f"shape ({expected}), as in sample_input", f"shape {array.shape}")
    if array.dtype != sample.dtype:
        fail(where, field, f"{sample.dtype}, as in sample_input", str(array.dtype))
    return array


def _kind(value: object) -> str:
    if isinstance(value, (tuple, list)):
        return f"a {type(value).__name__} of {len(value)}"
    return "None" if value is None else f"an object of type {type(value).__name__}"
