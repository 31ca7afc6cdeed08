import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from compressors.macs import count_macs, count_parameters
from compressors.onnx_model import strip_metadata
from tests.support.onnx_graphs import graph_model, small_conv, weight
from tests.support.tiny_workload import exported

# By hand, for one 1×8×8 input; the exporter folds batch normalisation, so 2·16 scales and shifts become 16 biases.
EXPECTED = {
    "plain": (16 * 9 + 16 + 32 * 16 * 9 + 32 + 512 * 32 + 32 + 32 * 4 + 4,
              16 * 64 * 9 + 32 * 64 * 16 * 9 + 512 * 32 + 32 * 4),
    "residual": (16 * 9 + 16 + 24 * 16 * 9 + 24 + 16 * 24 * 9 + 16 + 16 * 4 + 4,
                 16 * 64 * 9 + 24 * 64 * 16 * 9 + 16 * 64 * 24 * 9 + 16 * 4),
    "depthwise": (16 * 9 + 16 + 16 * 9 + 16 + 32 * 16 + 32 + 32 * 4 + 4,
                  16 * 64 * 9 + 16 * 64 * 9 + 32 * 64 * 16 + 32 * 4),
    "mlp": (64 * 64 + 64 + 64 * 32 + 32 + 32 * 4 + 4, 64 * 64 + 64 * 32 + 32 * 4),
}


@pytest.mark.parametrize("net", EXPECTED)
def test_exported_networks_count_as_on_paper(net):
    model = exported(net)
    assert (count_parameters(model), count_macs(model)) == EXPECTED[net]
    assert count_macs(model, (1, 1, 8, 8)) == EXPECTED[net][1]
    assert count_macs(model, (3, 1, 8, 8)) == 3 * EXPECTED[net][1]


def test_a_graph_made_by_hand():
    model = small_conv()
    assert count_parameters(model) == 4 * 2 * 9 + 4 + 3 * 4 + 3
    assert count_macs(model) == 4 * 64 * 2 * 9 + 3 * 4


def test_counting_leaves_the_model_alone():
    model = small_conv()
    before = model.SerializeToString(deterministic=True)
    count_macs(model, (2, 2, 8, 8))
    assert model.SerializeToString(deterministic=True) == before


def test_strides_groups_and_padding_show_in_the_products():
    model = graph_model([("Conv", ["x", "w"], "y", {"group": 2, "strides": [2, 2], "pads": [1, 1, 1, 1]})],
                        [weight("w", 6, 1, 3, 3)])
    assert count_macs(model) == 6 * 4 * 4 * 9


def test_transposed_convolution():
    model = graph_model([("ConvTranspose", ["x", "w"], "y", {"strides": [2, 2]})], [weight("w", 2, 5, 2, 2)])
    assert count_macs(model) == 2 * 64 * 5 * 4


def test_matrix_products_with_leading_dimensions_and_transposes():
    model = graph_model([("MatMul", ["x", "w"], "y")], [weight("w", 8, 3)], input_shape=("batch", 2, 5, 8))
    assert count_macs(model) == 2 * 5 * 8 * 3
    turned = graph_model([("Gemm", ["x", "w"], "y", {"transA": 1})], [weight("w", 7, 3)], input_shape=(7, 4))
    assert count_macs(turned) == 4 * 7 * 3


def quantized(per_channel=False):
    """x → Q → DQ → Conv with an int8 weight and an int32 bias behind DequantizeLinear."""
    scale = weight("ws", 4) if per_channel else weight("ws")
    zero = weight("wz", 4, dtype=np.int8, value=0) if per_channel else weight("wz", dtype=np.int8, value=0)
    return graph_model(
        [("QuantizeLinear", ["x", "s", "z"], "q"), ("DequantizeLinear", ["q", "s", "z"], "d"),
         ("DequantizeLinear", ["w", "ws", "wz"], "dw", {"axis": 0}),
         ("DequantizeLinear", ["b", "ws"], "db", {"axis": 0}), ("Conv", ["d", "dw", "db"], "y")],
        [weight("s"), weight("z", dtype=np.uint8), scale, zero,
         weight("w", 4, 2, 3, 3, dtype=np.int8), weight("b", 4, dtype=np.int32)])


@pytest.mark.parametrize("per_channel", [False, True])
def test_quantized_weights_count_once_and_their_scales_do_not(per_channel):
    model = quantized(per_channel)
    assert count_parameters(model) == 4 * 2 * 9 + 4
    assert count_macs(model) == 4 * 6 * 6 * 2 * 9


def test_integer_operators_count_like_the_others():
    nodes = [("QuantizeLinear", ["x", "s", "z"], "q"),
             ("QLinearConv", ["q", "s", "z", "w", "s", "z", "s", "z", "b"], "c"),
             ("DequantizeLinear", ["c", "s", "z"], "y")]
    model = graph_model(nodes, [weight("s"), weight("z", dtype=np.uint8), weight("w", 4, 2, 3, 3, dtype=np.uint8),
                                weight("b", 4, dtype=np.int32)])
    assert count_parameters(model) == 4 * 2 * 9 + 4
    assert count_macs(model) == 4 * 6 * 6 * 2 * 9
    matmul = graph_model([("QuantizeLinear", ["x", "s", "z"], "q"), ("MatMulInteger", ["q", "w", "z"], "m"),
                          ("Cast", ["m"], "y", {"to": TensorProto.FLOAT})],
                         [weight("s"), weight("z", dtype=np.uint8), weight("w", 8, 3, dtype=np.uint8)])
    assert count_parameters(matmul) == 24
    assert count_macs(matmul) == 2 * 8 * 8 * 3


def test_statistics_shapes_and_limits_are_no_parameters():
    model = graph_model(
        [("BatchNormalization", ["x", "scale", "shift", "mean", "variance"], "n"), ("Clip", ["n", "low", "high"], "c"),
         ("Reshape", ["c", "shape"], "y")],
        [weight("scale", 2), weight("shift", 2), weight("mean", 2), weight("variance", 2), weight("low"),
         weight("high"), numpy_helper.from_array(np.array([0, -1], np.int64), "shape"), weight("unused", 99)])
    assert count_parameters(model) == 4


def test_a_weight_used_twice_counts_once_and_constant_nodes_count():
    model = graph_model([("Constant", [], "k", {"value": weight("", 8, 8)}), ("MatMul", ["x", "k"], "a"),
                         ("MatMul", ["a", "k"], "y")], [])
    assert count_parameters(model) == 64
    assert count_macs(model) == 2 * (2 * 8 * 8 * 8)


def test_what_cannot_be_counted_is_not_guessed():
    einsum = graph_model([("Einsum", ["x", "w"], "y", {"equation": "bchw,wv->bchv"})], [weight("w", 8, 3)])
    assert count_macs(einsum) is None
    contributed = graph_model([("FusedMatMul", ["x", "w"], "y", {"domain": "com.microsoft"})], [weight("w", 8, 3)],
                              domains=("com.microsoft",))
    assert count_macs(contributed) is None
    free = graph_model([("MatMul", ["x", "w"], "y")], [weight("w", 8, 3)], input_shape=("batch", "time", 8))
    assert count_macs(free) is None
    assert count_macs(free, (1, 20, 8)) == 20 * 8 * 3


def test_a_graph_whose_shapes_contradict_each_other_is_not_counted():
    assert count_macs(graph_model([("MatMul", ["x", "w"], "y")], [weight("w", 5, 3)])) is None


def test_free_dimensions_named_inside_the_graph_are_fixed_too():
    model = strip_metadata(graph_model([("MatMul", ["x", "w"], "m"), ("Relu", ["m"], "y")], [weight("w", 8, 3)],
                                       input_shape=("batch", 8), output_shape=("batch", 3)))
    model.graph.value_info.append(helper.make_tensor_value_info("m", TensorProto.FLOAT, ("batch", 3)))
    assert count_macs(model) == 8 * 3
