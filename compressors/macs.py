"""The one counter of parameters and multiply-accumulates: on the ONNX graph, so that all artifacts compare."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import TYPE_CHECKING, TypeAlias

from .onnx_model import STANDARD_DOMAINS, constants

if TYPE_CHECKING:
    import onnx

Shape: TypeAlias = tuple[int, ...]

_WEIGHT_INPUTS = {
    "QuantizeLinear": (0,), "DequantizeLinear": (0,), "QLinearConv": (3, 8), "QLinearMatMul": (0, 3),
    "ConvInteger": (1,), "MatMulInteger": (0, 1), "BatchNormalization": (1, 2), "Resize": (), "Upsample": (),
}
"""Where a weight can stand, for operators with other constants beside it: scales, zero points, statistics."""

_NOT_COUNTED = frozenset({"LSTM", "GRU", "RNN", "Einsum", "Attention", "DeformConv", "If", "Loop", "Scan"})
"""Operators that multiply in ways not counted here: with one of them the sum is not known."""


def count_parameters(model: onnx.ModelProto) -> int:
    """Numbers in weights and biases, each tensor once; a quantized weight counts like the one it replaced.

    Not counted: scales, zero points, running statistics, shapes, and single constants such as a clip's limits.
    """
    fixed = constants(model.graph)
    used: set[str] = set()
    for node in model.graph.node:
        for index, name in enumerate(node.input):
            if name in fixed and _is_weight(node.op_type, index, fixed[name]):
                used.add(name)
    return sum(prod(fixed[name].dims) for name in used)


def count_macs(model: onnx.ModelProto, input_shape: Shape | None = None) -> int | None:
    """Multiply-accumulates of convolutions and matrix products for one input, or None where it is not known.

    `input_shape` (with its batch axis) fixes free dimensions; without it a free first dimension counts as 1.
    """
    import onnx

    if any(node.op_type in _NOT_COUNTED or node.domain not in STANDARD_DOMAINS for node in model.graph.node):
        return None
    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    _fix_dimensions(fixed.graph, input_shape)
    try:
        inferred = onnx.shape_inference.infer_shapes(fixed, data_prop=True)
    except onnx.shape_inference.InferenceError:
        return None
    shapes = _shapes(inferred.graph)
    counts = [_node_macs(node, shapes) for node in inferred.graph.node]
    return None if None in counts else sum(count for count in counts if count is not None)


def _is_weight(op_type: str, index: int, tensor: onnx.TensorProto) -> bool:
    import onnx

    if op_type in _WEIGHT_INPUTS:
        return index in _WEIGHT_INPUTS[op_type]
    floating = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16,
                onnx.TensorProto.DOUBLE)
    return tensor.data_type in floating and len(tensor.dims) > 0


def _node_macs(node: onnx.NodeProto, shapes: Mapping[str, Shape]) -> int | None:
    """Products of one node; 0 for operators that have none, None where a shape is not known."""
    places = {"Conv": (0, 1), "ConvInteger": (0, 1), "QLinearConv": (0, 3), "ConvTranspose": (0, 1),
              "Gemm": (0, 1), "MatMul": (0, 1), "MatMulInteger": (0, 1), "QLinearMatMul": (0, 3)}
    if node.op_type not in places:
        return 0
    left, right = (shapes.get(node.input[place]) for place in places[node.op_type])
    output = shapes.get(node.output[0])
    if left is None or right is None or output is None:
        return None
    if node.op_type == "ConvTranspose":
        return prod(left) * prod(right[1:])
    if "Conv" in node.op_type:
        return prod(output) * prod(right[1:])
    transposed = any(attribute.name == "transA" and attribute.i for attribute in node.attribute)
    return prod(output) * left[0 if transposed else -1]


def _fix_dimensions(graph: onnx.GraphProto, input_shape: Shape | None) -> None:
    """Give the free dimensions of the input their values, wherever the graph uses their names."""
    weights = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in weights]
    values: dict[str, int] = {}
    for value in inputs:
        dimensions = value.type.tensor_type.shape.dim
        shape = input_shape if input_shape and len(inputs) == 1 and len(input_shape) == len(dimensions) else (1,)
        for dimension, size in zip(dimensions, shape, strict=False):
            if not dimension.HasField("dim_value"):
                if dimension.dim_param:
                    values[dimension.dim_param] = size
                dimension.dim_value = size
    for value in (*graph.input, *graph.value_info, *graph.output):
        for dimension in value.type.tensor_type.shape.dim:
            if dimension.dim_param in values:
                dimension.dim_value = values[dimension.dim_param]


def _shapes(graph: onnx.GraphProto) -> dict[str, Shape]:
    """Shapes known in full, by tensor name."""
    shapes = {name: tuple(tensor.dims) for name, tensor in constants(graph).items()}
    for value in (*graph.input, *graph.value_info, *graph.output):
        tensor_type = value.type.tensor_type
        if tensor_type.HasField("shape") and all(d.HasField("dim_value") for d in tensor_type.shape.dim):
            shapes[value.name] = tuple(d.dim_value for d in tensor_type.shape.dim)
    return shapes
