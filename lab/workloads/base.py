"""What a workload is: a trained model, one input, the data behind it, and a score."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from compressors.base import Data

if TYPE_CHECKING:
    from torch import nn

Array: TypeAlias = NDArray[Any]

CALIBRATION_DEFAULT = 320
"""How many training inputs calibrate a quantizer when the workload names none."""


@dataclass(frozen=True, kw_only=True, eq=False)
class WorkloadData:
    """The arrays a step may use; satisfies `compressors.base.Data`.

    `train_inputs` (n, …) float32 and `train_targets` (n, …) may be empty (n = 0) where only calibration data is
    known; `calibration_inputs` (m, …) never holds evaluation data.
    """

    train_inputs: Array
    train_targets: Array
    calibration_inputs: Array


def top1_accuracy(outputs: Array, targets: Array) -> float:
    """Share of rows of `outputs` (n, classes) whose largest entry is at `targets` (n,); in 0–1."""
    if outputs.ndim != 2 or targets.shape != outputs.shape[:1]:
        raise ValueError(f"top-1 accuracy needs outputs (n, classes) and targets (n,), got "
                         f"{outputs.shape} and {targets.shape}")
    return float(np.mean(np.argmax(outputs, axis=1) == targets))


@dataclass(frozen=True, kw_only=True, eq=False)
class Workload:
    """A model with its data and metric, ready to be compressed and measured.

    `sample_input` (1, …) is what a device runs on. `torch_model` gives the trained model in eval mode, a fresh copy
    at each call; it is None for a workload that came as an ONNX file, which `onnx_path` then names. Without
    evaluation arrays accuracy is not known. `evaluation_batch` bounds how many inputs are scored at once.
    `notes` are things a reader of the results has to know, such as evaluation data that is the training data.
    """

    name: str
    sha256: str
    metric_name: str
    sample_input: Array
    data: Data | None
    evaluation_inputs: Array | None
    evaluation_targets: Array | None
    score: Callable[[Array, Array], float] = top1_accuracy
    torch_model: Callable[[], nn.Module] | None = None
    onnx_path: Path | None = None
    evaluation_batch: int = 256
    notes: tuple[str, ...] = ()


def workload_sha256(sources: Mapping[str, bytes], arrays: Mapping[str, Array | None]) -> str:
    """Identity of a workload: its source files, its weights and its data, independent of the order given.

    `arrays` holds weights and data by name; None stands for an array the workload does not have.
    """
    digest = hashlib.sha256()
    for name in sorted(sources):
        digest.update(_entry("source", name, hashlib.sha256(sources[name]).hexdigest()))
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(_entry("array", name, None if array is None else array_sha256(array)))
    return digest.hexdigest()


def array_sha256(array: Array) -> str:
    """Hash of type, shape and values; the byte order of the machine does not show."""
    contiguous = np.ascontiguousarray(array)
    little = contiguous.astype(contiguous.dtype.newbyteorder("<"), copy=False)
    digest = hashlib.sha256(_entry("values", little.dtype.str, list(array.shape)))
    digest.update(little.tobytes())
    return digest.hexdigest()


def data_arrays(data: Data | None) -> dict[str, Array | None]:
    """The arrays of `data` by field name, for hashing; all None where there is no data."""
    names = [field.name for field in fields(WorkloadData)]
    return {name: None if data is None else getattr(data, name) for name in names}


def evaluation_notes(evaluation: Array | None, train: Array | None, calibration: Array | None) -> tuple[str, ...]:
    """What a reader of accuracies has to know about the inputs (n, …) they are computed on.

    Whole arrays are compared, so data that only overlaps goes unseen.
    """
    if evaluation is None:
        return ("No evaluation data: accuracy is not known.",)
    others = {"training": train, "calibration": calibration}
    return tuple(f"The evaluation data is the {name} data: its accuracy says nothing about new inputs."
                 for name, other in others.items() if other is not None and np.array_equal(evaluation, other))


def _entry(*parts: object) -> bytes:
    return json.dumps(parts, separators=(",", ":")).encode() + b"\n"
