import numpy as np
import pytest
from onnx import TensorProto
from onnx.helper import make_tensor_value_info

from compressors.onnx_model import serialize
from lab.compression.accuracy import evaluate, predict
from lab.errors import CompressionError, WorkloadError
from tests.support.onnx_graphs import graph_model, weight
from tests.support.tiny_workload import exported, tiny_workload, torch_accuracy


def doubling(batch="batch", value=2.0):
    """x (n, 3) → 2·x."""
    return serialize(graph_model([("Mul", ["x", "k"], "y")], [weight("k", value=value)], input_shape=(batch, 3),
                                 output_shape=(batch, 3)))


INPUTS = np.arange(30, dtype=np.float32).reshape(10, 3)


@pytest.mark.parametrize("fixed", ["batch", 1, 3, 4, 10, 16])
@pytest.mark.parametrize("batch", [1, 3, 256])
def test_every_input_gets_its_output_whatever_the_batch(fixed, batch):
    assert np.array_equal(predict(doubling(fixed), INPUTS, batch), 2 * INPUTS)


def test_progress_reaches_the_end():
    heard = []
    predict(doubling(), INPUTS, 4, heard.append)
    assert heard == [0.4, 0.8, 1.0]


def test_the_score_is_that_of_the_torch_model():
    workload = tiny_workload("plain")
    expected = torch_accuracy(workload.torch_model(), workload)
    assert evaluate(serialize(exported("plain")), workload) == pytest.approx(expected, abs=1 / 128)


def test_without_evaluation_data_the_accuracy_is_not_known():
    for changes in ({"evaluation_inputs": None}, {"evaluation_targets": None},
                    {"evaluation_inputs": np.zeros((0, 3), np.float32), "evaluation_targets": np.zeros(0)}):
        assert evaluate(doubling(), tiny_workload("mlp", **changes)) is None


def scored(score, value=2.0):
    workload = tiny_workload("mlp", evaluation_inputs=INPUTS, evaluation_targets=np.zeros(10, np.int64), score=score)
    return evaluate(doubling(value=value), workload)


def test_outputs_that_are_not_finite_are_an_error_never_a_score():
    with pytest.raises(CompressionError, match="NaN or infinity on 10 of 10 evaluation inputs of workload tiny-mlp"):
        scored(lambda _outputs, _targets: 1.0, value=np.nan)


def test_a_score_sees_all_outputs_at_once():
    assert scored(lambda outputs, targets: float(outputs.sum() + len(targets))) == 2 * INPUTS.sum() + 10


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_score_must_be_a_finite_number(value):
    with pytest.raises(WorkloadError, match="expected a finite number"):
        scored(lambda _outputs, _targets: value)


def test_a_score_that_fails_is_the_workload_s_fault():
    def broken(_outputs, _targets):
        raise ValueError("needs ten classes")

    with pytest.raises(WorkloadError, match=r"score of workload tiny-mlp failed on outputs \(10, 3\) and targets "
                                            r"\(10,\): needs ten classes"):
        scored(broken)
    with pytest.raises(WorkloadError, match="tiny-mlp failed"):
        scored(lambda _outputs, _targets: "good")


def test_inputs_of_the_wrong_shape_are_told():
    with pytest.raises(CompressionError, match=r"cannot run the model on inputs \(10, 4\) of type float32"):
        predict(doubling(), np.zeros((10, 4), np.float32), 256)


def test_outputs_without_a_row_per_input_are_told():
    model = serialize(graph_model([("ReduceSum", ["x"], "y", {"keepdims": 0})], [], input_shape=("batch", 3)))
    with pytest.raises(CompressionError, match=r"output \(\) does not have one row for each of 10 inputs"):
        predict(model, INPUTS, 256)


def test_a_model_with_two_inputs_or_that_does_not_load_is_told():
    model = graph_model([("Add", ["x", "z"], "y")], [], input_shape=("batch", 3))
    model.graph.input.append(make_tensor_value_info("z", TensorProto.FLOAT, ("batch", 3)))
    with pytest.raises(CompressionError, match="one input, got 2"):
        predict(serialize(model), INPUTS, 256)
    with pytest.raises(CompressionError, match="cannot load the model"):
        predict(b"nothing", INPUTS, 256)
