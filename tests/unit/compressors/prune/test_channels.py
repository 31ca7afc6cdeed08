from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from compressors.base import StepError
from compressors.export import export_onnx
from compressors.macs import count_macs, count_parameters
from compressors.prune.channels import PruneChannels
from tests.support.tiny_workload import NETS, exported, step_context, tiny_workload, torch_accuracy


@given(st.floats(0.01, 0.99), st.integers(1, 64), st.sampled_from(["magnitude", "taylor", "bn"]), st.integers(0, 99),
       st.floats(1e-6, 1))
def test_all_sensible_parameters_are_taken(ratio, round_to, importance, epochs, learning_rate):
    step = PruneChannels(ratio=ratio, round_to=round_to, importance=importance, epochs=epochs,
                         learning_rate=learning_rate)
    assert step.ratio == ratio


@pytest.mark.parametrize(("field", "value"), [
    ("ratio", 0), ("ratio", 1.0), ("ratio", -0.5), ("ratio", "half"), ("round_to", 0), ("round_to", 8.0),
    ("importance", "random"), ("epochs", -1), ("epochs", True), ("learning_rate", 0), ("learning_rate", 1.5),
    ("learning_rate", float("nan"))])
def test_a_wrong_parameter_is_refused_by_name(field, value):
    with pytest.raises(ValueError, match=f"^{field}: expected "):
        PruneChannels(**{field: value})


@pytest.mark.parametrize("net", NETS)
def test_half_the_channels_leave_about_a_quarter_of_the_work(net):
    workload = tiny_workload(net)
    model, structure, report = PruneChannels(epochs=1).apply(workload.torch_model(), step_context(workload))
    before, after = exported(net), export_onnx(model, workload.sample_input)
    assert count_parameters(after) < 0.6 * count_parameters(before)
    assert count_macs(after) < 0.6 * count_macs(before)
    assert report.trained_epochs == 1
    assert report.numbers["parameters_after"] == sum(p.numel() for p in model.parameters())
    assert structure["layers"]


@pytest.mark.parametrize("importance", ["magnitude", "taylor", "bn"])
def test_fine_tuning_keeps_the_accuracy(importance):
    workload = tiny_workload("plain")
    step = PruneChannels(importance=importance)
    model, _, report = step.apply(workload.torch_model(), step_context(workload))
    assert torch_accuracy(model, workload) >= 0.95
    assert report.notes[0].startswith("kept ")
    assert not model.training


def test_batch_normalisation_scores_narrow_only_layers_in_front_of_one():
    workload = tiny_workload("plain")
    model, _, _ = PruneChannels(importance="bn", epochs=0).apply(workload.torch_model(), step_context(workload))
    assert (model.features[0].out_channels, model.features[3].out_channels) == (8, 32)
    mlp = tiny_workload("mlp")
    with pytest.raises(StepError, match="importance bn needs batch normalisation layers"):
        PruneChannels(importance="bn").apply(mlp.torch_model(), step_context(mlp))


def test_the_seed_decides_the_outcome():
    workload = tiny_workload("plain")
    states = [PruneChannels(epochs=1).apply(workload.torch_model(), step_context(workload, seed=seed))[0].state_dict()
              for seed in (0, 0, 1)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert any(not torch.equal(states[0][name], states[2][name]) for name in states[0])


def test_where_nothing_gets_narrower_nothing_is_trained():
    workload = tiny_workload("mlp")
    step = PruneChannels(ratio=0.5, round_to=64)
    model, structure, report = step.apply(workload.torch_model(), step_context(workload))
    assert structure["layers"] == {}
    assert report.trained_epochs == 0
    assert report.notes[1] == "no layer was narrowed: lower round_to (64) or raise ratio (0.5)"
    assert all(torch.equal(value, workload.torch_model().state_dict()[name])
               for name, value in model.state_dict().items())


def test_without_training_data_pruning_alone_still_works():
    workload = tiny_workload("mlp")
    context = replace(step_context(workload), data=None)
    model, _, report = PruneChannels(epochs=0).apply(workload.torch_model(), context)
    assert model.layers[1].out_features == 32
    assert report.trained_epochs == 0
    with pytest.raises(StepError, match="prune_channels trains, but the workload has no training data"):
        PruneChannels().apply(workload.torch_model(), context)
    with pytest.raises(StepError, match="importance taylor trains, but"):
        PruneChannels(importance="taylor", epochs=0).apply(workload.torch_model(), context)


def test_frozen_models_are_thawed_and_parameters_beside_the_loss_do_not_matter():
    class WithSpare(nn.Module):
        def __init__(self):
            super().__init__()
            self.net, self.spare = NETS["mlp"](), nn.Linear(3, 3)

        def forward(self, x):
            return self.net(x)

    workload = tiny_workload("mlp")
    model, _, _ = PruneChannels(importance="taylor", epochs=1).apply(WithSpare().requires_grad_(False),
                                                                     step_context(workload))
    assert model.net.layers[1].out_features == 32
    assert model.spare.out_features == 3
