import contextlib
import copy

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from compressors.base import HardwareFacts, StepError
from compressors.export import BATCH_NAME, export_onnx
from compressors.onnx_model import open_session, opset_of, serialize
from tests.support.onnx_graphs import sha256_of
from tests.support.tiny_workload import NETS, PlainConv, tiny_workload

SAMPLE = np.random.Generator(np.random.PCG64(1)).normal(size=(1, 1, 8, 8)).astype(np.float32)


class FixedBatch(nn.Module):
    """Code that only ever sees one row."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(64, 4)

    def forward(self, x):
        return self.head(x.reshape(1, 64))


class TwoOutputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Linear(64, 4), nn.Linear(64, 2)

    def forward(self, x):
        x = x.flatten(1)
        return self.left(x), self.right(x)


class NotExportable(nn.Module):
    def forward(self, x):
        return x.flatten(1) if x.sum() > 0 else -x.flatten(1)


@pytest.mark.parametrize("net", NETS)
def test_the_file_computes_what_the_torch_model_computes_for_any_batch(net):
    workload = tiny_workload(net)
    model = workload.torch_model()
    session = open_session(serialize(export_onnx(model, workload.sample_input)))
    inputs = workload.evaluation_inputs[:7]
    with torch.no_grad():
        expected = model(torch.from_numpy(inputs)).numpy()
    got, = session.run(["output"], {"input": inputs})
    assert np.allclose(got, expected, rtol=1e-4, atol=1e-4)
    assert np.allclose(session.run(None, {"input": inputs[:1]})[0], expected[:1], rtol=1e-4, atol=1e-4)
    assert session.get_inputs()[0].shape == [BATCH_NAME, 1, 8, 8]


def test_the_file_is_small_complete_and_loads_on_old_runtimes():
    model = export_onnx(PlainConv(), SAMPLE)
    onnx.checker.check_model(model, full_check=True)
    assert (opset_of(model), model.ir_version) == (18, 10)
    assert model.producer_name == "pytorch"
    text = str(model)
    for trace in ("metadata_props", "doc_string", "value_info", "external"):
        assert trace not in text
    weights = sum(len(tensor.raw_data) for tensor in model.graph.initializer)
    assert len(serialize(model)) < weights + 2000


@pytest.mark.parametrize("make", [PlainConv, FixedBatch, NotExportable])
def test_the_exporter_is_silent_whatever_happens(capfd, make):
    with contextlib.suppress(StepError):
        export_onnx(make(), SAMPLE)
    assert capfd.readouterr() == ("", "")


def test_the_same_weights_give_the_same_file():
    model = PlainConv()
    assert sha256_of(export_onnx(model, SAMPLE)) == sha256_of(export_onnx(copy.deepcopy(model), SAMPLE))


def test_the_model_is_exported_in_eval_mode_and_not_changed():
    model = PlainConv().train()
    before = copy.deepcopy(model.state_dict())
    export_onnx(model, SAMPLE)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_model_that_fixes_its_batch_is_exported_with_one():
    exported = export_onnx(FixedBatch(), SAMPLE)
    assert open_session(serialize(exported)).get_inputs()[0].shape == [1, 1, 8, 8]


def test_several_outputs_are_kept():
    session = open_session(serialize(export_onnx(TwoOutputs(), SAMPLE)))
    assert [output.shape for output in session.run(None, {"input": np.repeat(SAMPLE, 3, 0)})] == [(3, 4), (3, 2)]


def test_whole_number_inputs_are_exported():
    model = nn.Sequential(nn.Embedding(10, 4), nn.Flatten(), nn.Linear(12, 2))
    session = open_session(serialize(export_onnx(model, np.array([[1, 2, 3]]))))
    assert session.run(None, {"input": np.array([[1, 2, 3], [0, 9, 9]])})[0].shape == (2, 2)


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_weights_that_are_not_finite_are_refused(bad):
    model = PlainConv()
    with torch.no_grad():
        model.features[3].weight[0, 0, 0, 0] = bad
    with pytest.raises(StepError, match=r"features.3.weight holds NaN or infinity"):
        export_onnx(model, SAMPLE)


def test_what_torch_cannot_export_is_told_in_one_line():
    with pytest.raises(StepError, match="torch cannot export the model to ONNX: ") as caught:
        export_onnx(NotExportable(), SAMPLE)
    assert "\n" not in str(caught.value)


def test_a_device_below_the_exporter_s_opset_is_told():
    # The mean over two axes cannot be written in opset 17 by the converter that torch uses.
    with pytest.raises(StepError, match="opset 18, the device's runtime loads up to 17"):
        export_onnx(NETS["residual"](), SAMPLE, hardware=HardwareFacts(opset_max=17))


def test_an_older_opset_is_used_where_it_works():
    exported = export_onnx(NETS["mlp"](), SAMPLE, hardware=HardwareFacts(opset_max=17, ir_max=8))
    assert (opset_of(exported), exported.ir_version) == (17, 8)
