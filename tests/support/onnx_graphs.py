"""ONNX graphs written by hand, whose counts can be worked out on paper."""

import hashlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from compressors.onnx_model import serialize


def sha256_of(model):
    """Name of the artifact this model is."""
    return hashlib.sha256(serialize(model)).hexdigest()


def weight(name, *shape, dtype=np.float32, value=None):
    """An initializer of ones (or of one value) in this shape."""
    return numpy_helper.from_array(np.full(shape, 1 if value is None else value, dtype), name)


def graph_model(nodes, weights, input_shape=("batch", 2, 8, 8), output_shape=None, opset=18, ir_version=10,
                domains=()):
    """A model from nodes (op type, inputs, output, attributes) with one input `x`; the last output is the graph's."""
    made = [helper.make_node(op, inputs, [output], domain=attributes.pop("domain", ""), **attributes)
            for op, inputs, output, attributes in ((*node, {}) if len(node) == 3 else
                                                   (*node[:3], dict(node[3])) for node in nodes)]
    graph = helper.make_graph(
        made, "made_by_hand", [helper.make_tensor_value_info("x", TensorProto.FLOAT, input_shape)],
        [helper.make_tensor_value_info(made[-1].output[0], TensorProto.FLOAT, output_shape)], initializer=weights)
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(domain, 1) for domain in domains)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=ir_version)


def small_conv(opset=18, output_shape=("batch", 3), **changes):
    """Conv(2→4, 3×3, padding 1) on 8×8, ReLU, global mean, Gemm(4→3): 84 + 15 numbers, 4·64·18 + 12 products."""
    axes = numpy_helper.from_array(np.array([2, 3], np.int64), "axes")
    return graph_model(
        [("Conv", ["x", "w", "b"], "c", {"pads": [1, 1, 1, 1]}), ("Relu", ["c"], "r"),
         ("ReduceMean", ["r", "axes"], "m", {"keepdims": 0}),
         ("Gemm", ["m", "g", "h"], "y", {"transB": 1})],
        [weight("w", 4, 2, 3, 3), weight("b", 4), axes, weight("g", 3, 4), weight("h", 3)],
        output_shape=output_shape, opset=opset, **changes)


def save(model, path):
    """Write a model and return the path."""
    onnx.save(model, path)
    return path
