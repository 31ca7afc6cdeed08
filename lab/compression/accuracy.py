"""How good an artifact is on the workload's evaluation data, in onnxruntime on this machine."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from compressors.base import StepError
from compressors.onnx_model import fixed_batch, graph_input, open_session, parse_onnx, runtime_errors
from lab.errors import CompressionError, WorkloadError
from lab.workloads.base import Array, Workload

SCORE_ERRORS = (ValueError, TypeError, IndexError, KeyError, ZeroDivisionError, ArithmeticError)
"""What a user's score function raises when outputs are not what it expects."""


def evaluate(data: bytes, workload: Workload, progress: Callable[[float], None] = lambda _fraction: None,
             ) -> float | None:
    """The workload's metric on its evaluation data, or None where it has none.

    Raises CompressionError if the artifact does not run or gives NaN or infinity, WorkloadError if the score fails.
    """
    inputs, targets = workload.evaluation_inputs, workload.evaluation_targets
    if inputs is None or targets is None or len(inputs) == 0:
        return None
    outputs = predict(data, inputs, workload.evaluation_batch, progress)
    bad = len(outputs) - int(np.isfinite(outputs.reshape(len(outputs), -1)).all(axis=1).sum())
    if bad:
        raise CompressionError(f"the model gives NaN or infinity on {bad} of {len(inputs)} evaluation inputs of "
                               f"workload {workload.name}; it cannot be scored")
    try:
        score = float(workload.score(outputs, targets))
    except SCORE_ERRORS as error:
        raise WorkloadError(f"the score of workload {workload.name} failed on outputs {outputs.shape} and targets "
                            f"{targets.shape}: {error}") from error
    if not math.isfinite(score):
        raise WorkloadError(f"the score of workload {workload.name} is {score}, expected a finite number")
    return score


def predict(data: bytes, inputs: Array, batch: int, progress: Callable[[float], None] = lambda _fraction: None,
            ) -> Array:
    """First output (n, …) for inputs (n, …), in batches of `batch`, or of the model's own size if it fixes one.

    A last batch that is too small for a fixed size is filled up with repeated rows, whose outputs are dropped.
    """
    try:
        session = open_session(data)
        model = parse_onnx(data)
        name, fixed = graph_input(model).name, fixed_batch(model)
    except StepError as error:
        raise CompressionError(str(error)) from error
    size = fixed or max(1, batch)
    parts = []
    for start in range(0, len(inputs), size):
        rows = inputs[start:start + size]
        filled = rows if fixed is None else np.resize(rows, (size, *rows.shape[1:]))
        try:
            output = np.asarray(session.run(None, {name: filled})[0])
        except runtime_errors() as error:
            raise CompressionError(f"onnxruntime cannot run the model on inputs {filled.shape} of type "
                                   f"{filled.dtype}: {str(error)[:300]}") from error
        if output.ndim == 0 or (len(output) != size and len(output) != len(rows)):
            raise CompressionError(f"the model's output {output.shape} does not have one row for each of "
                                   f"{len(filled)} inputs")
        parts.append(output[:len(rows)])
        progress(min(1.0, (start + size) / len(inputs)))
    return np.concatenate(parts)
