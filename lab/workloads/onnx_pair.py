"""A workload that comes as an ONNX file, with or without an `.npz` of data."""

from __future__ import annotations

import zlib
from difflib import get_close_matches
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from lab.errors import WorkloadError

from .base import Array, Workload, WorkloadData, data_arrays, evaluation_notes, top1_accuracy, workload_sha256
from .onnx_file import OnnxFile, read_onnx

KEYS = {
    "sample_input": "one input (1, …)",
    "calibration": "inputs (n, …) that set quantizer ranges; not from the evaluation data",
    "evaluation_inputs": "inputs (n, …) held out",
    "evaluation_targets": "integer labels (n,)",
}
"""What an `.npz` may hold; every key is optional, but the two evaluation keys come together."""

SAMPLE_SEED = 0


def load_onnx_pair(model_path: Path, data_path: Path | None, home: Path) -> Workload:
    """The workload of a model file and its data; without data, a seeded random input and no accuracy.

    Raises WorkloadError naming the file, the key, what was expected and what was found.
    """
    model = read_onnx(model_path.resolve(), home)
    stored = {} if data_path is None else _read_npz(data_path.resolve())
    arrays = {key: _as_input(array, key, model, data_path) for key, array in stored.items()
              if key != "evaluation_targets"}
    if "evaluation_targets" in stored:
        arrays["evaluation_targets"] = stored["evaluation_targets"]
    notes = list(model.notes)
    sample = _sample(arrays, model, notes)
    output = model.outputs(sample)
    if "evaluation_inputs" in arrays:
        arrays["evaluation_targets"] = _check_targets(arrays, output, data_path)
    notes += evaluation_notes(arrays.get("evaluation_inputs"), None, arrays.get("calibration"))
    return _workload(model_path, model, sample, arrays, notes)


def _workload(model_path: Path, model: OnnxFile, sample: Array, arrays: dict[str, Array],
              notes: list[str]) -> Workload:
    data = None
    if "calibration" in arrays:
        calibration = arrays["calibration"]
        data = WorkloadData(train_inputs=calibration[:0], train_targets=np.empty(0, np.int64),
                            calibration_inputs=calibration)
    inputs, targets = arrays.get("evaluation_inputs"), arrays.get("evaluation_targets")
    named = {**data_arrays(data), "sample_input": sample, "evaluation_inputs": inputs,
             "evaluation_targets": targets}
    return Workload(
        name=model_path.stem, metric_name="top-1 accuracy",
        sha256=workload_sha256({"model.onnx": model.data}, named),
        sample_input=sample, data=data, evaluation_inputs=inputs, evaluation_targets=targets, score=top1_accuracy,
        onnx_path=model.path, evaluation_batch=256 if model.input_shape[0] is None else 1, notes=tuple(notes),
    )


def _read_npz(path: Path) -> dict[str, Array]:
    if not path.is_file():
        raise WorkloadError(f"The data file {path} does not exist. Write it as model.onnx+data.npz, "
                            "relative to the campaign file.")
    try:
        with path.open("rb") as file:
            stored = np.load(file, allow_pickle=False)
            if not isinstance(stored, np.lib.npyio.NpzFile):
                raise WorkloadError(f"{path}: expected an .npz archive, got a single array. Use np.savez.")
            with stored:
                _check_keys(stored.files, path)
                return {key: np.ascontiguousarray(stored[key]) for key in stored.files}
    except (OSError, ValueError, EOFError, KeyError, BadZipFile, zlib.error) as error:
        raise WorkloadError(f"{path} cannot be read as an .npz archive of plain arrays: {error}. Write it with "
                            "np.savez from arrays of numbers.") from error


def _check_keys(found: list[str], path: Path) -> None:
    known = "; ".join(f"{key}: {what}" for key, what in KEYS.items())
    for key in found:
        if key not in KEYS:
            close = get_close_matches(key, KEYS, 1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise WorkloadError(f"{path}: unknown array {key!r}.{hint} Known: {known}.")
    if ("evaluation_inputs" in found) != ("evaluation_targets" in found):
        raise WorkloadError(f"{path}: expected evaluation_inputs and evaluation_targets together, got one of them.")


def _as_input(array: Array, key: str, model: OnnxFile, path: Path | None) -> Array:
    """`array` in the type the model declares, its shape checked against the declared one."""
    where = f"{path}: {key}"
    declared = model.input_shape
    free = ("n" if key != "sample_input" else "1", *("?" if size is None else str(size) for size in declared[1:]))
    fits = array.ndim == len(declared) and all(
        size in (None, got) for size, got in zip(declared[1:], array.shape[1:], strict=True))
    if not fits or array.size == 0 or (key == "sample_input" and array.shape[0] != 1):
        raise WorkloadError(f"{where}: expected shape ({', '.join(free)}), as the model's input "
                            f"{model.input_name!r} declares, got {array.shape}.")
    if array.dtype.kind not in "fiub" or not np.can_cast(array.dtype, model.input_dtype, "same_kind"):
        raise WorkloadError(f"{where}: expected {model.input_dtype}, as the model's input {model.input_name!r} "
                            f"declares, got {array.dtype}.")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise WorkloadError(f"{where}: expected finite numbers, got NaN or infinity.")
    return np.ascontiguousarray(array.astype(model.input_dtype))


def _sample(arrays: dict[str, Array], model: OnnxFile, notes: list[str]) -> Array:
    """The given input, else the first of the data, else random numbers of the declared shape."""
    for key in ("sample_input", "evaluation_inputs", "calibration"):
        if key in arrays:
            return arrays[key][:1]
    if None in model.input_shape[1:]:
        shape = ", ".join("?" if size is None else str(size) for size in model.input_shape)
        raise WorkloadError(f"{model.path}: input {model.input_name!r} has free dimensions ({shape}), so no "
                            "input can be made up. Give one: model.onnx+data.npz with an array sample_input.")
    shape_of_one = (1, *(size or 0 for size in model.input_shape[1:]))
    generator = np.random.Generator(np.random.PCG64(SAMPLE_SEED))
    notes.append("No input was given: a seeded random one of the declared shape is measured.")
    if model.input_dtype.kind == "f":
        return generator.random(shape_of_one, np.float32).astype(model.input_dtype)
    return generator.integers(0, 2, shape_of_one).astype(model.input_dtype)


def _check_targets(arrays: dict[str, Array], output: Array, path: Path | None) -> Array:
    targets, count = arrays["evaluation_targets"], len(arrays["evaluation_inputs"])
    where = f"{path}: evaluation_targets"
    if output.ndim != 2:
        raise WorkloadError(f"{where}: expected a model with outputs (n, classes) for top-1 accuracy, got a first "
                            f"output of shape {output.shape}. Leave the evaluation arrays out, or write the "
                            "workload as a Python file with a metric.")
    if targets.dtype.kind not in "iu" or targets.shape != (count,):
        raise WorkloadError(f"{where}: expected integer labels of shape ({count},), got {targets.dtype} of shape "
                            f"{targets.shape}.")
    low, high = int(targets.min()), int(targets.max())
    if low < 0 or high >= output.shape[1]:
        raise WorkloadError(f"{where}: expected labels in 0 to {output.shape[1] - 1}, got {low} to {high}.")
    return targets.astype(np.int64)
