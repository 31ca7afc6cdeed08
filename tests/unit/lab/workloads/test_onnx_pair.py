"""A workload from an ONNX file: with data, without, and with everything that can be wrong."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from lab.errors import WorkloadError
from lab.workloads.loader import load_workload
from lab.workloads.onnx_pair import load_onnx_pair

WEIGHTS = np.arange(12, dtype=np.float32).reshape(4, 3)


def make_model(*, opset=18, ir_version=9, shape=("n", 4), elem=TensorProto.FLOAT, nodes=None, inputs=None,
               output=("n", 3)):
    inputs = inputs or [helper.make_tensor_value_info("x", elem, shape)]
    nodes = nodes or [helper.make_node("Cast", ["x"], ["f"], to=TensorProto.FLOAT),
                      helper.make_node("MatMul", ["f", "w"], ["y"])]
    graph = helper.make_graph(nodes, "g", inputs, [helper.make_tensor_value_info("y", TensorProto.FLOAT, output)],
                              [numpy_helper.from_array(WEIGHTS, "w")])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir_version)


@pytest.fixture
def model_path(tmp_path):
    path = tmp_path / "model.onnx"
    onnx.save(make_model(), path)
    return path


@pytest.fixture
def save(tmp_path):
    def save_model(**changes):
        path = tmp_path / "changed.onnx"
        path.write_bytes(make_model(**changes).SerializeToString())
        return path

    return save_model


def npz(tmp_path, **arrays):
    np.savez(tmp_path / "data.npz", **arrays)
    return tmp_path / "data.npz"


def refused(model, data, home):
    with pytest.raises(WorkloadError) as caught:
        load_onnx_pair(model, data, home)
    return str(caught.value)


def test_model_alone_gets_a_seeded_input_and_no_accuracy(model_path, tmp_path):
    """Latency can be measured; what is not known is said."""
    first, second = (load_onnx_pair(model_path, None, tmp_path) for _ in range(2))
    assert first.sample_input.shape == (1, 4)
    assert np.array_equal(first.sample_input, second.sample_input)
    assert first.sha256 == second.sha256
    assert (first.evaluation_inputs, first.evaluation_targets) == (None, None)
    assert first.data is None
    assert first.torch_model is None
    assert first.onnx_path == model_path
    assert any("seeded random" in note for note in first.notes)


def test_pair_has_data_and_a_score(model_path, tmp_path):
    """The four arrays arrive where steps and accuracy look for them."""
    inputs = np.eye(4, dtype=np.float64)
    data = npz(tmp_path, sample_input=inputs[:1], calibration=inputs, evaluation_inputs=inputs,
               evaluation_targets=np.array([2, 2, 2, 0], np.uint8))
    workload = load_workload(f"{model_path}+{data}", tmp_path)
    assert workload.name == "model"
    assert workload.sample_input.dtype == np.float32
    assert workload.data.calibration_inputs.shape == (4, 4)
    assert workload.data.train_inputs.shape == (0, 4)
    session = onnxruntime.InferenceSession(workload.onnx_path)
    outputs = session.run(None, {"x": workload.evaluation_inputs})[0]
    assert workload.score(outputs, workload.evaluation_targets) == 0.75


def test_evaluating_on_the_calibration_data_is_noted(model_path, tmp_path):
    """The ranges were taken from the very inputs the accuracy is computed on."""
    inputs, targets = np.eye(4, dtype=np.float32), np.zeros(4, np.int64)
    same = npz(tmp_path, calibration=inputs, evaluation_inputs=inputs, evaluation_targets=targets)
    assert "The evaluation data is the calibration data" in load_onnx_pair(model_path, same, tmp_path).notes[0]
    other = npz(tmp_path, calibration=2 * inputs, evaluation_inputs=inputs, evaluation_targets=targets)
    assert load_onnx_pair(model_path, other, tmp_path).notes == ()


def test_without_a_sample_the_first_of_the_data_is_measured(model_path, tmp_path):
    """Real data goes before made-up data."""
    data = npz(tmp_path, calibration=np.full((3, 4), 7, np.float32))
    assert load_onnx_pair(model_path, data, tmp_path).sample_input.tolist() == [[7, 7, 7, 7]]


def test_integer_inputs_keep_the_models_type(save, tmp_path):
    """A model on token numbers gets whole numbers."""
    workload = load_onnx_pair(save(elem=TensorProto.INT64), None, tmp_path)
    assert workload.sample_input.dtype == np.int64


def test_fixed_batch_is_evaluated_one_by_one(save, tmp_path):
    """A model exported for one input cannot take 256."""
    assert load_onnx_pair(save(shape=(1, 4)), None, tmp_path).evaluation_batch == 1
    assert load_onnx_pair(save(shape=(None, 4)), None, tmp_path).evaluation_batch == 256


def test_weights_beside_the_model_are_folded_in(tmp_path):
    """torch writes them beside by default; a device gets one file."""
    path = tmp_path / "split.onnx"
    onnx.save_model(make_model(), path, save_as_external_data=True, location="split.data", size_threshold=0)
    workload = load_onnx_pair(path, None, tmp_path / "home")
    assert workload.onnx_path.parent == tmp_path / "home" / "workloads"
    assert any("folded into one file" in note for note in workload.notes)
    assert load_onnx_pair(path, None, tmp_path / "home").sha256 == workload.sha256
    (tmp_path / "split.data").unlink()
    output = onnxruntime.InferenceSession(workload.onnx_path).run(None, {"x": np.eye(4, dtype=np.float32)})[0]
    assert np.array_equal(output, WEIGHTS)
    assert "not a valid ONNX model" in refused(path, None, tmp_path)


@pytest.mark.parametrize("damage", [b"", b"not a model at all", b"\x08"])
def test_garbage_is_not_a_model(tmp_path, damage):
    """Corrupt files end in a text, not in a protobuf error."""
    path = tmp_path / "bad.onnx"
    path.write_bytes(damage)
    assert "bad.onnx is not a valid ONNX model" in refused(path, None, tmp_path)


def test_truncated_model_is_refused(model_path, tmp_path):
    """Half a download."""
    model_path.write_bytes(model_path.read_bytes()[:-40])
    assert "not a valid ONNX model" in refused(model_path, None, tmp_path)


def test_missing_files_are_named(model_path, tmp_path):
    """Both paths are checked."""
    assert "none.onnx does not exist" in refused(tmp_path / "none.onnx", None, tmp_path)
    assert "none.npz does not exist" in refused(model_path, tmp_path / "none.npz", tmp_path)


def test_opset_beyond_the_installed_runtime_says_so(save, tmp_path):
    """The runtime's own limit is in the text."""
    text = refused(save(opset=99), None, tmp_path)
    assert f"onnxruntime {onnxruntime.__version__} cannot load this model (opset 99, IR version 9)" in text
    assert "till opset" in text
    assert "lower opset" in text


def test_unknown_operator_is_refused(save, tmp_path):
    """The checker's word reaches the user."""
    text = refused(save(nodes=[helper.make_node("Frobnicate", ["x"], ["y"])]), None, tmp_path)
    assert "Frobnicate" in text


@pytest.mark.parametrize(("changes", "expected"), [
    ({"shape": (8, 4)}, "expected a batch dimension that is free or 1, got 8"),
    ({"shape": ("n", "m")}, "has free dimensions (?, ?)"),
    ({"shape": None}, "Field 'shape' of 'type' is required"),
    ({"shape": (), "nodes": [helper.make_node("Mul", ["x", "w"], ["y"])], "output": (4, 3)},
     "expected a shape with a batch dimension first, got a single value"),
    ({"elem": TensorProto.BFLOAT16}, "expected one of float32, float16"),
    ({"inputs": [helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, 4)) for name in ("x", "mask")]},
     "expected a model with one input, got 2: x, mask"),
])
def test_models_the_lab_cannot_feed(save, tmp_path, changes, expected):
    """The input must be one array whose shape is known."""
    assert expected in refused(save(**changes), None, tmp_path)


INPUTS = np.zeros((5, 4), np.float32)
LABELS = np.array([0, 1, 2, 0, 1])


@pytest.mark.parametrize(("arrays", "expected"), [
    ({"sample": INPUTS}, "unknown array 'sample'. Did you mean 'sample_input'?"),
    ({"evaluation_inputs": INPUTS}, "expected evaluation_inputs and evaluation_targets together"),
    ({"evaluation_targets": LABELS}, "expected evaluation_inputs and evaluation_targets together"),
    ({"sample_input": INPUTS}, "sample_input: expected shape (1, 4)"),
    ({"calibration": INPUTS[:, :3]}, "expected shape (n, 4), as the model's input 'x' declares, got (5, 3)"),
    ({"calibration": INPUTS[:0]}, "calibration: expected shape (n, 4)"),
    ({"calibration": INPUTS + np.inf}, "calibration: expected finite numbers"),
    ({"calibration": INPUTS.astype("U1")}, "calibration: expected float32"),
    ({"calibration": INPUTS.astype("c8")}, "calibration: expected float32"),
    ({"evaluation_inputs": INPUTS, "evaluation_targets": LABELS[:4]}, "expected integer labels of shape (5,)"),
    ({"evaluation_inputs": INPUTS, "evaluation_targets": LABELS * 1.0}, "got float64"),
    ({"evaluation_inputs": INPUTS, "evaluation_targets": LABELS + 1}, "expected labels in 0 to 2, got 1 to 3"),
    ({"evaluation_inputs": INPUTS, "evaluation_targets": LABELS - 1}, "expected labels in 0 to 2, got -1 to 1"),
])
def test_each_wrong_array_is_named(model_path, tmp_path, arrays, expected):
    """File, key, expected, got."""
    text = refused(model_path, npz(tmp_path, **arrays), tmp_path)
    assert "data.npz" in text
    assert expected in text


def test_objects_in_an_archive_are_never_unpickled(model_path, tmp_path):
    """A data file cannot run code."""
    data = npz(tmp_path, calibration=np.array([{"a": 1}], dtype=object))
    assert "allow_pickle" in refused(model_path, data, tmp_path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04broken", b"text"])
def test_a_broken_archive_is_told(model_path, tmp_path, content):
    """Corrupt archives end in a text."""
    (tmp_path / "data.npz").write_bytes(content)
    assert "cannot be read as an .npz archive" in refused(model_path, tmp_path / "data.npz", tmp_path)


def test_a_single_array_is_not_an_archive(model_path, tmp_path):
    """np.save instead of np.savez."""
    with (tmp_path / "data.npz").open("wb") as file:
        np.save(file, INPUTS)
    assert "expected an .npz archive, got a single array" in refused(model_path, tmp_path / "data.npz", tmp_path)


def test_accuracy_needs_outputs_with_classes(save, tmp_path):
    """Another kind of model needs a metric of its own."""
    path = save(nodes=[helper.make_node("ReduceSum", ["x"], ["y"], keepdims=0)], output=())
    data = npz(tmp_path, evaluation_inputs=INPUTS, evaluation_targets=LABELS)
    assert "Python file with a metric" in refused(path, data, tmp_path)


def test_hash_follows_model_and_data(model_path, save, tmp_path):
    """Other weights or other data are another workload; the file's name is not."""
    plain = load_onnx_pair(model_path, None, tmp_path).sha256
    same = load_onnx_pair(save(), None, tmp_path).sha256
    other_model = load_onnx_pair(save(opset=17), None, tmp_path).sha256
    other_data = load_onnx_pair(model_path, npz(tmp_path, calibration=INPUTS), tmp_path).sha256
    assert plain == same
    assert len({plain, other_model, other_data}) == 3
