"""Feeds calibration inputs to onnxruntime's quantizer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compressors.base import StepContext, StepError

if TYPE_CHECKING:
    import numpy as np
    from onnxruntime.quantization import CalibrationDataReader

_BATCH_MAX = 32


def calibration_sample(context: StepContext, samples: int) -> np.ndarray[Any, Any]:
    """A seeded choice of calibration inputs (m, …), m ≤ `samples`; raises StepError if there are none."""
    import numpy as np

    available = None if context.data is None else np.asarray(context.data.calibration_inputs)
    if available is None or len(available) == 0:
        raise StepError("quantize_static needs calibration inputs to find the range of every tensor, "
                        "the workload has none; give it calibration (or train) data")
    if not bool(np.isfinite(available).all()):
        raise StepError("the workload's calibration inputs hold NaN or infinity")
    if len(available) <= samples:
        return available
    rows = np.random.Generator(np.random.PCG64(context.seed)).permutation(len(available))[:samples]
    return available[np.sort(rows)]


def equal_batches(inputs: np.ndarray[Any, Any], batch: int | None) -> list[np.ndarray[Any, Any]]:
    """All inputs in batches of one size, which the histogram methods need.

    With a free batch axis (None) the largest divisor of their number up to 32; with a fixed one that, and a
    remainder too small for it is left out. Raises StepError if not one batch can be filled.
    """
    size = batch or max(n for n in range(1, min(_BATCH_MAX, len(inputs)) + 1) if len(inputs) % n == 0)
    batches = [inputs[start:start + size] for start in range(0, len(inputs) - size + 1, size)]
    if not batches:
        raise StepError(f"the model takes batches of {size}, the workload has only {len(inputs)} calibration inputs")
    return batches


def data_reader(input_name: str, batches: list[np.ndarray[Any, Any]]) -> CalibrationDataReader:
    """A reader that hands out each batch once."""
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._batches = iter(batches)

        def get_next(self) -> dict[str, np.ndarray[Any, Any]] | None:
            batch = next(self._batches, None)
            return None if batch is None else {input_name: batch}

    return Reader()
