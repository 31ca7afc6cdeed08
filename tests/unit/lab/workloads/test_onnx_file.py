"""One ONNX file: whole, checked, tried once."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from lab.errors import WorkloadError
from lab.workloads.onnx_file import read_onnx

VALUE = np.arange(3, dtype=np.float32)


def info(name, shape, elem=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, elem, shape)


def save(path, nodes, inputs, initializers=(), *, ir_version=9, domain="", external=False):
    graph = helper.make_graph(nodes, "g", inputs, [info("y", (None, 3))], list(initializers))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid(domain, 18)], ir_version=ir_version)
    onnx.save_model(model, path, save_as_external_data=external, location=f"{path.name}.data", size_threshold=0,
                    convert_attribute=True)
    return path


def add_node():
    return helper.make_node("Add", ["x", "w"], ["y"])


def add_model(path, **changes):
    return save(path, [add_node()], [info("x", ("batch", 3))], [numpy_helper.from_array(VALUE, "w")], **changes)


def branch(value):
    constant = helper.make_node("Constant", [], ["b"], value=numpy_helper.from_array(value, "c"))
    return helper.make_graph([constant, helper.make_node("Add", ["x", "b"], ["r"])], "branch", [],
                             [info("r", (None, 3))])


def test_facts_of_a_plain_model(tmp_path):
    """Name, type and shape of the input; the file is used where it lies."""
    path = add_model(tmp_path / "m.onnx")
    found = read_onnx(path, tmp_path / "home")
    assert (found.input_name, found.input_dtype, found.input_shape, found.opset) == (
        "x", np.dtype(np.float32), (None, 3), 18)
    assert (found.path, found.data, found.notes) == (path, path.read_bytes(), ())
    assert not (tmp_path / "home").exists()


def test_outputs_are_the_models_first(tmp_path):
    """What is scored."""
    found = read_onnx(add_model(tmp_path / "m.onnx"), tmp_path)
    assert found.outputs(np.ones((2, 3), np.float32)).tolist() == [[1, 2, 3], [1, 2, 3]]


@pytest.mark.parametrize("inputs", [np.ones((2, 4), np.float32), np.ones((2, 3), np.int64), np.ones(7, np.float32)])
def test_an_input_the_model_refuses_is_told_with_its_shape(tmp_path, inputs):
    """onnxruntime's own classes of errors do not leak."""
    found = read_onnx(add_model(tmp_path / "m.onnx"), tmp_path)
    with pytest.raises(WorkloadError) as caught:
        found.outputs(inputs)
    assert f"onnxruntime failed on an input {inputs.dtype} {inputs.shape}" in str(caught.value)


def test_constants_listed_as_inputs_do_not_count(tmp_path):
    """Old exporters list every weight among the inputs."""
    path = save(tmp_path / "m.onnx", [add_node()], [info("x", (1, 3)), info("w", (3,))],
                [numpy_helper.from_array(VALUE, "w")], ir_version=3)
    assert read_onnx(path, tmp_path).input_name == "x"


def test_the_long_name_of_the_standard_domain_is_understood(tmp_path):
    """`ai.onnx` and the empty text are the same."""
    assert read_onnx(add_model(tmp_path / "m.onnx", domain="ai.onnx"), tmp_path).opset == 18


def test_weights_in_a_branch_beside_the_file_are_found(tmp_path):
    """External data may hide inside the subgraph of an If."""
    condition = numpy_helper.from_array(np.array(True), "always")
    node = helper.make_node("If", ["always"], ["y"], then_branch=branch(VALUE), else_branch=branch(VALUE * 2))
    path = save(tmp_path / "m.onnx", [node], [info("x", (1, 3))], [condition], external=True)
    assert (tmp_path / "m.onnx.data").stat().st_size > 0
    found = read_onnx(path, tmp_path / "home")
    (tmp_path / "m.onnx.data").unlink()
    session = onnxruntime.InferenceSession(found.path)
    assert session.run(None, {"x": np.zeros((1, 3), np.float32)})[0].tolist() == [[0, 1, 2]]
    assert found.notes[0].startswith("Weights stored beside m.onnx were folded into one file of ")


def test_the_folded_file_is_written_once_and_mended(tmp_path):
    """Named by its content; a damaged copy is not used."""
    path, home = add_model(tmp_path / "m.onnx", external=True), tmp_path / "home"
    first = read_onnx(path, home)
    written_ns = first.path.stat().st_mtime_ns
    assert read_onnx(path, home).path == first.path
    assert first.path.stat().st_mtime_ns == written_ns
    first.path.write_bytes(b"torn")
    assert read_onnx(path, home).path.read_bytes() == first.data
    assert [file.name for file in (home / "workloads").iterdir()] == [first.path.name]


def test_external_data_outside_the_models_folder_is_refused(tmp_path):
    """A model cannot name a file elsewhere on this machine."""
    (tmp_path / "secret.bin").write_bytes(bytes(12))
    (tmp_path / "in").mkdir()
    path = add_model(tmp_path / "in" / "m.onnx", external=True)
    model = onnx.load_model(path, load_external_data=False)
    for entry in model.graph.initializer[0].external_data:
        if entry.key == "location":
            entry.value = "../secret.bin"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(WorkloadError, match="not a valid ONNX model"):
        read_onnx(path, tmp_path / "home")


def test_an_ir_version_from_the_future_is_refused(tmp_path):
    """The text says which version."""
    path = add_model(tmp_path / "m.onnx")
    model = onnx.load_model(path)
    model.ir_version = 99
    path.write_bytes(model.SerializeToString())
    with pytest.raises(WorkloadError, match="99"):
        read_onnx(path, tmp_path)
