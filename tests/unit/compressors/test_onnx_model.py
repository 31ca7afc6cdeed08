import os
import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from compressors.base import HardwareFacts, StepError
from compressors.onnx_model import (
    DEFAULT_IR,
    check_onnx,
    constants,
    first_line,
    fixed_batch,
    graph_input,
    load_onnx,
    lower_ir,
    open_session,
    opset_of,
    parse_onnx,
    runtime_errors,
    serialize,
    strip_metadata,
)
from tests.support.onnx_graphs import graph_model, save, sha256_of, small_conv, weight


def with_metadata():
    model = onnx.shape_inference.infer_shapes(small_conv())
    model.doc_string = model.graph.doc_string = "made somewhere"
    for part in (model, model.graph, model.graph.node[0], model.graph.input[0], model.graph.initializer[0]):
        part.metadata_props.add(key="stack_trace", value="File /home/someone/net.py, line 3")
    model.graph.node[1].doc_string = "more"
    model.opset_import.append(helper.make_opsetid("com.microsoft.nchwc", 1))
    return model


def test_stripping_drops_what_no_runtime_reads_and_nothing_else():
    model = strip_metadata(with_metadata())
    text = str(model)
    assert "stack_trace" not in text
    assert "doc_string" not in text
    assert not model.graph.value_info
    assert [entry.domain for entry in model.opset_import] == [""]
    assert [node.op_type for node in model.graph.node] == ["Conv", "Relu", "ReduceMean", "Gemm"]
    x = np.random.default_rng(0).normal(size=(2, 2, 8, 8)).astype(np.float32)
    before, after = (open_session(serialize(m)).run(None, {"x": x})[0] for m in (with_metadata(), model))
    assert np.array_equal(before, after)


def test_stripping_reaches_into_branches_and_functions():
    branch = helper.make_graph([helper.make_node("Relu", ["x"], ["y"], doc_string="inner")], "then", [],
                               [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)])
    model = graph_model([("ReduceMax", ["x"], "m", {"keepdims": 0}), ("Cast", ["m"], "t", {"to": TensorProto.BOOL}),
                         ("If", ["t"], "y", {"then_branch": branch, "else_branch": branch})], [])
    function = helper.make_function("local", "f", ["a"], ["b"],
                                    [helper.make_node("Relu", ["a"], ["b"], doc_string="inner")],
                                    [helper.make_opsetid("", 18)])
    model.functions.append(function)
    assert "inner" not in str(strip_metadata(model))


def test_shapes_stay_where_an_operator_is_not_standard():
    model = graph_model([("Relu", ["x"], "r"), ("Gelu", ["r"], "y", {"domain": "com.microsoft"})], [],
                        domains=("com.microsoft", "ai.onnx.ml"))
    model.graph.value_info.append(helper.make_tensor_value_info("r", TensorProto.FLOAT, (1, 2, 8, 8)))
    stripped = strip_metadata(model)
    assert [value.name for value in stripped.graph.value_info] == ["r"]
    assert [entry.domain for entry in stripped.opset_import] == ["", "com.microsoft"]


def test_the_same_model_gives_the_same_bytes_in_every_process():
    code = ("from tests.support.onnx_graphs import sha256_of, small_conv\n"
            "from compressors.onnx_model import strip_metadata\n"
            "print(sha256_of(strip_metadata(small_conv())))")
    hashes = {subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True,
                             env={**os.environ, "PYTHONHASHSEED": seed}).stdout.strip() for seed in ("1", "2")}
    assert hashes == {sha256_of(strip_metadata(small_conv()))}


def test_bytes_that_were_read_are_written_again():
    data = serialize(small_conv())
    assert serialize(parse_onnx(data)) == data


def test_a_file_is_loaded(tmp_path):
    assert sha256_of(load_onnx(save(small_conv(), tmp_path / "m.onnx"))) == sha256_of(small_conv())


def test_weights_beside_the_file_are_drawn_in(tmp_path):
    path = tmp_path / "m.onnx"
    onnx.save(small_conv(), path, save_as_external_data=True, location="m.data", size_threshold=0)
    loaded = load_onnx(path)
    assert all(tensor.data_location == TensorProto.DEFAULT for tensor in loaded.graph.initializer)
    assert open_session(serialize(loaded)).run(None, {"x": np.zeros((1, 2, 8, 8), np.float32)})[0].shape == (1, 3)
    (tmp_path / "m.data").unlink()
    with pytest.raises(StepError, match=r"m\.onnx"):
        load_onnx(path)


@pytest.mark.parametrize("content", [b"", b"\x00\x01\x02", b"PK\x03\x04 not a model", b"{}"])
def test_a_file_that_is_no_onnx_is_told_so(tmp_path, content):
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    with pytest.raises(StepError, match=r"m.onnx is not an ONNX file, or is damaged.*export it again"):
        load_onnx(path)


def test_half_a_file_is_told_so(tmp_path):
    path = tmp_path / "m.onnx"
    path.write_bytes(serialize(small_conv())[:-40])
    with pytest.raises(StepError, match="damaged"):
        load_onnx(path)


def test_a_missing_file_and_a_folder_are_told_apart(tmp_path):
    with pytest.raises(StepError, match=r"cannot load .*gone.onnx: .*gone.onnx does not exist"):
        load_onnx(tmp_path / "gone.onnx")
    with pytest.raises(StepError, match=r"cannot load .*: .*directory"):
        load_onnx(tmp_path)


def test_a_device_with_an_older_runtime_refuses_newer_models():
    check_onnx(small_conv(), HardwareFacts(opset_max=18, ir_max=10))
    with pytest.raises(StepError, match="opset 18, the device's runtime loads up to 17; export it with a lower"):
        check_onnx(small_conv(), HardwareFacts(opset_max=17))
    with pytest.raises(StepError, match="IR version 10, the device's runtime loads up to 8; update"):
        check_onnx(small_conv(), HardwareFacts(ir_max=8))


def test_an_invalid_graph_is_told_so():
    model = small_conv()
    model.graph.node[1].input[0] = "nobody"
    with pytest.raises(StepError, match="not valid ONNX"):
        check_onnx(model, HardwareFacts())


@pytest.mark.parametrize(("given", "ir_max", "opset", "expected"), [
    (13, None, 18, DEFAULT_IR), (10, None, 18, 10), (8, None, 18, 8), (10, 9, 18, 9), (10, 3, 18, 8),
    (13, None, 21, 10), (12, None, 23, 11)])
def test_the_ir_version_is_lowered_as_far_as_the_operators_allow(given, ir_max, opset, expected):
    model = small_conv(opset=opset, ir_version=given)
    lower_ir(model, HardwareFacts(ir_max=ir_max))
    assert model.ir_version == expected


def test_the_opset_is_that_of_the_standard_operators():
    model = graph_model([("Gelu", ["x"], "y", {"domain": "com.microsoft"})], [], domains=("com.microsoft",))
    assert opset_of(model) == 18
    del model.opset_import[0]
    with pytest.raises(StepError, match="names no opset"):
        opset_of(model)


def test_the_input_is_found_beside_weights_listed_as_inputs():
    model = small_conv()
    model.graph.input.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, (4, 2, 3, 3)))
    assert graph_input(model).name == "x"
    model.graph.input.append(helper.make_tensor_value_info("mask", TensorProto.FLOAT, (1,)))
    with pytest.raises(StepError, match=r"one input, got 2 \(x, mask\)"):
        graph_input(model)


def test_a_fixed_batch_is_told_from_a_free_one():
    assert fixed_batch(small_conv()) is None
    assert fixed_batch(small_conv(input_shape=(5, 2, 8, 8))) == 5


def test_what_the_runtime_cannot_load_is_told_so():
    with pytest.raises(StepError, match="onnxruntime cannot load the model: "):
        open_session(b"nothing")
    model = graph_model([("NoSuchOperator", ["x"], "y")], [])
    with pytest.raises(StepError, match="NoSuchOperator"):
        open_session(serialize(model))
    assert all(issubclass(error, Exception) for error in runtime_errors())


def test_constants_are_initializers_and_constant_nodes():
    model = graph_model([("Constant", [], "k", {"value": weight("", 3)}), ("Add", ["x", "k"], "y")],
                        [weight("w", 2)], input_shape=(1, 3))
    assert {name: list(tensor.dims) for name, tensor in constants(model.graph).items()} == {"k": [3], "w": [2]}


def test_long_messages_are_cut_to_their_first_line():
    assert first_line(ValueError("\n  first\nsecond")) == "first"
    assert first_line(KeyError()) == "KeyError"
    assert len(first_line(ValueError("x" * 999))) == 300
