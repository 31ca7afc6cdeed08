"""A user's ONNX file: read, made whole, checked, and tried once in the installed onnxruntime."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lab.errors import WorkloadError

from .base import Array

if TYPE_CHECKING:
    import onnx
    import onnxruntime

SIZE_MAX_BYTES = 2**31 - 1
"""A protobuf message cannot be larger."""

_INPUT_TYPES = ("float32", "float16", "float64", "int8", "int16", "int32", "int64", "uint8", "bool")


@dataclass(frozen=True, kw_only=True, eq=False)
class OnnxFile:
    """A checked model in one file. `input_shape` has None where a dimension is free; `opset` is ai.onnx's."""

    path: Path
    data: bytes
    input_name: str
    input_dtype: np.dtype[Any]
    input_shape: tuple[int | None, ...]
    opset: int
    session: onnxruntime.InferenceSession
    notes: tuple[str, ...]

    def outputs(self, inputs: Array) -> Array:
        """The first output for one batch; raises WorkloadError where the model cannot be evaluated on it."""
        try:
            first: Array = np.asarray(self.session.run(None, {self.input_name: inputs})[0])
        except _runtime_errors() as error:
            raise WorkloadError(f"{self.path}: onnxruntime failed on an input {inputs.dtype} {inputs.shape}: "
                                f"{_short(error)}") from error
        return first


def read_onnx(path: Path, home: Path) -> OnnxFile:
    """Read and check the model; weights kept beside it are folded into one file under `home`.

    Raises WorkloadError: missing, unreadable, invalid, beyond the installed onnxruntime, or not of one input.
    """
    import onnx
    from google.protobuf.message import DecodeError, EncodeError  # type: ignore[import-untyped]

    notes: tuple[str, ...] = ()
    if not path.is_file():
        raise WorkloadError(f"The model file {path} does not exist. Write it relative to the campaign file.")
    if path.stat().st_size > SIZE_MAX_BYTES:
        raise WorkloadError(f"{path}: expected at most {SIZE_MAX_BYTES} bytes, got {path.stat().st_size}.")
    try:
        model = onnx.load_model(path, load_external_data=False)
        if not any(_external_tensors(model.graph)):
            whole_path, data = path, path.read_bytes()
        else:
            model = onnx.load_model(path)
            data = model.SerializeToString(deterministic=True)
            whole_path = _keep_whole(data, path, home)
            notes = (f"Weights stored beside {path.name} were folded into one file of {len(data)} bytes.",)
        onnx.checker.check_model(model)
    except (DecodeError, EncodeError, OSError, ValueError, onnx.checker.ValidationError) as error:
        raise WorkloadError(f"{path} is not a valid ONNX model: {_short(error)}. "
                            "Export it again, then check it with onnx.checker.check_model.") from error
    session = _session(data, path, model)
    name, dtype, shape = _single_input(model, path)
    return OnnxFile(path=whole_path, data=data, input_name=name, input_dtype=dtype, input_shape=shape,
                    opset=_opset(model), session=session, notes=notes)


def _session(data: bytes, path: Path, model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # the error below says it once
    options.intra_op_num_threads = 1
    try:
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except _runtime_errors() as error:
        raise WorkloadError(
            f"{path}: onnxruntime {onnxruntime.__version__} cannot load this model (opset {_opset(model)}, "
            f"IR version {model.ir_version}): {_short(error)}. "
            "Export it with a lower opset, or install a newer onnxruntime."
        ) from error


def _single_input(model: onnx.ModelProto, path: Path) -> tuple[str, np.dtype[Any], tuple[int | None, ...]]:
    import onnx

    constants = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in constants]
    if len(inputs) != 1:
        names = ", ".join(value.name for value in inputs) or "none"
        raise WorkloadError(f"{path}: expected a model with one input, got {len(inputs)}: {names}. "
                            "Export a wrapper with one input.")
    where = f"{path}: input {inputs[0].name!r}"
    kind = inputs[0].type.tensor_type
    if not kind.shape.dim:
        raise WorkloadError(f"{where}: expected a shape with a batch dimension first, got a single value.")
    name = onnx.TensorProto.DataType.Name(kind.elem_type)
    dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type))
    if dtype.name not in _INPUT_TYPES:
        raise WorkloadError(f"{where}: expected one of {', '.join(_INPUT_TYPES)}, got {name}.")
    shape = tuple(dim.dim_value if dim.HasField("dim_value") else None for dim in kind.shape.dim)
    if shape[0] not in (None, 1):
        raise WorkloadError(f"{where}: expected a batch dimension that is free or 1, got {shape[0]}. "
                            "Export it again with a batch of 1 or with a dynamic batch.")
    return inputs[0].name, dtype, shape


def _external_tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    import onnx

    tensors = list(graph.initializer)
    for node in graph.node:
        for attribute in node.attribute:
            tensors += [attribute.t, *attribute.tensors]
            for inner in (attribute.g, *attribute.graphs):
                yield from _external_tensors(inner)
    yield from (tensor for tensor in tensors if tensor.data_location == onnx.TensorProto.EXTERNAL)


def _keep_whole(data: bytes, path: Path, home: Path) -> Path:
    folder = home / "workloads"
    kept = folder / f"{path.stem}-{hashlib.sha256(data).hexdigest()[:16]}.onnx"
    if kept.is_file() and kept.read_bytes() == data:
        return kept
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=folder, suffix=".partial", delete=False) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    Path(file.name).replace(kept)
    return kept


def _opset(model: onnx.ModelProto) -> int:
    return max((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=0)


def _runtime_errors() -> tuple[type[Exception], ...]:
    """What onnxruntime raises: classes without a base of their own."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    names = ("Fail", "InvalidArgument", "InvalidGraph", "InvalidProtobuf", "NoModel", "NotImplemented",
             "RuntimeException", "EPFail", "NoSuchFile")
    return (RuntimeError, ValueError, *(getattr(state, name) for name in names))


def _short(error: Exception) -> str:
    """The end of an error's text: onnxruntime begins with paths of its own sources."""
    text = " ".join(str(error).split()).rstrip(".")
    return text if len(text) <= 400 else "… " + text[-400:]
