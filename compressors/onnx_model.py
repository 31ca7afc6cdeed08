"""ONNX files: load, check, strip, serialize, hash; every artifact of the lab goes through here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .base import HardwareFacts, StepError

if TYPE_CHECKING:
    import onnx
    import onnxruntime

DEFAULT_OPSET = 18
DEFAULT_IR = 10
"""What onnxruntime 1.19 still loads: the last one for Python 3.9, which many boards run."""

STANDARD_DOMAINS = frozenset({"", "ai.onnx"})


def load_onnx(path: Path) -> onnx.ModelProto:
    """A model from a file, weights that lie beside it drawn in.

    Raises StepError where the file is missing, is no ONNX file, or misses its weights.
    """
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    try:
        model = onnx.load(path)
    except FileNotFoundError as error:
        missing = error.filename or "a file with its weights"
        raise StepError(f"cannot load {path}: {missing} does not exist") from None
    except OSError as error:
        raise StepError(f"cannot load {path}: {error}") from error
    except DecodeError:
        raise StepError(f"{path} is not an ONNX file, or is damaged; export it again") from None
    except onnx.checker.ValidationError as error:
        raise StepError(f"cannot load the weights of {path}: {first_line(error)}") from error
    if not model.graph.node or not model.opset_import:
        raise StepError(f"{path} is not an ONNX file, or is damaged: it holds no graph; export it again")
    return model


def parse_onnx(data: bytes) -> onnx.ModelProto:
    """A model from bytes that the lab wrote itself."""
    import onnx

    return onnx.load_model_from_string(data)


def check_onnx(model: onnx.ModelProto, hardware: HardwareFacts) -> None:
    """Raise StepError if the graph is invalid or newer than the device's runtime can load."""
    import onnx

    opset = opset_of(model)
    if hardware.opset_max is not None and opset > hardware.opset_max:
        raise StepError(f"the model has opset {opset}, the device's runtime loads up to {hardware.opset_max}; "
                        "export it with a lower opset, or update onnxruntime on the device")
    if hardware.ir_max is not None and model.ir_version > hardware.ir_max:
        raise StepError(f"the model has IR version {model.ir_version}, the device's runtime loads up to "
                        f"{hardware.ir_max}; update onnxruntime on the device")
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:
        raise StepError(f"the graph is not valid ONNX: {first_line(error)}") from error


def lower_ir(model: onnx.ModelProto, hardware: HardwareFacts) -> None:
    """Write the IR version older runtimes load, where the operators in use allow it."""
    import onnx

    needed = onnx.helper.find_min_ir_version_for(list(model.opset_import), ignore_unknown=True)
    wanted = min(DEFAULT_IR, hardware.ir_max or DEFAULT_IR)
    model.ir_version = min(model.ir_version, max(wanted, needed))


def opset_of(model: onnx.ModelProto) -> int:
    """The version of the standard operators the graph uses; raises StepError if it names none."""
    versions = [entry.version for entry in model.opset_import if entry.domain in STANDARD_DOMAINS]
    if not versions:
        raise StepError("the model names no opset of the standard operators; export it again")
    return int(max(versions))


def strip_metadata(model: onnx.ModelProto) -> onnx.ModelProto:
    """Drop, in place, what no runtime reads: stack traces, doc strings, shapes it infers itself, unused opsets."""
    used = {node.domain for node in _all_nodes(model)}
    for graph in _all_graphs(model.graph):
        for part in (graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
            _clear(part)
        if used <= STANDARD_DOMAINS:
            del graph.value_info[:]
    for function in model.functions:
        for part in (function, *function.node, *function.value_info):
            _clear(part)
    _clear(model)
    kept = [entry for entry in model.opset_import if entry.domain in STANDARD_DOMAINS | used]
    del model.opset_import[:]
    model.opset_import.extend(kept)
    return model


def serialize(model: onnx.ModelProto) -> bytes:
    """The same bytes for the same model, always."""
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def graph_input(model: onnx.ModelProto) -> onnx.ValueInfoProto:
    """The model's only input; raises StepError if it has none or several."""
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs: list[onnx.ValueInfoProto] = [value for value in model.graph.input if value.name not in weights]
    if len(inputs) != 1:
        names = ", ".join(value.name for value in inputs) or "none"
        raise StepError(f"expected a model with one input, got {len(inputs)} ({names})")
    return inputs[0]


def fixed_batch(model: onnx.ModelProto) -> int | None:
    """How many rows the input must have, or None where any number is allowed."""
    dimensions = graph_input(model).type.tensor_type.shape.dim
    return dimensions[0].dim_value if dimensions and dimensions[0].HasField("dim_value") else None


def open_session(data: bytes) -> onnxruntime.InferenceSession:
    """The model in onnxruntime on this machine, warnings off; raises StepError if it refuses the model."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except runtime_errors() as error:
        raise StepError(f"onnxruntime cannot load the model: {first_line(error)}") from error


@cache
def runtime_errors() -> tuple[type[Exception], ...]:
    """Everything onnxruntime and onnx raise about a model; their exceptions share no base but Exception."""
    import onnx
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    own = [value for value in vars(state).values() if isinstance(value, type) and issubclass(value, Exception)]
    return (*own, onnx.checker.ValidationError, onnx.shape_inference.InferenceError, RuntimeError, ValueError)


def constants(graph: onnx.GraphProto) -> Mapping[str, onnx.TensorProto]:
    """Tensors fixed in the graph, by name: initializers and Constant nodes."""
    found = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        for attribute in node.attribute:
            if node.op_type == "Constant" and attribute.name == "value":
                found[node.output[0]] = attribute.t
    return found


def first_line(error: BaseException) -> str:
    """The part of a library's message that fits into ours."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:300]


def _clear(part: Any) -> None:
    part.ClearField("doc_string")
    part.ClearField("metadata_props")


def _all_graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in ([attribute.g] if attribute.HasField("g") else []) + list(attribute.graphs):
                yield from _all_graphs(inner)


def _all_nodes(model: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    for graph in _all_graphs(model.graph):
        yield from graph.node
    for function in model.functions:
        yield from function.node
