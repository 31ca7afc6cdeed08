import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from compressors.base import StepError
from compressors.export import export_onnx
from compressors.factorize.svd import FactorizeSvd
from compressors.macs import count_macs, count_parameters
from tests.support.tiny_workload import NETS, exported, step_context, tiny_workload, torch_accuracy

ALONE = {"epochs": 0}


@given(st.floats(0.01, 1), st.integers(1, 64), st.integers(1, 64), st.integers(0, 99), st.floats(1e-6, 1))
def test_all_sensible_parameters_are_taken(energy, round_to, rank_min, epochs, learning_rate):
    step = FactorizeSvd(energy=energy, round_to=round_to, rank_min=rank_min, epochs=epochs,
                        learning_rate=learning_rate)
    assert step.energy == energy


@pytest.mark.parametrize(("field", "value"), [
    ("energy", 0), ("energy", 1.1), ("energy", None), ("round_to", 0), ("rank_min", 0), ("rank_min", 1.5),
    ("epochs", -1), ("learning_rate", 0), ("learning_rate", float("inf"))])
def test_a_wrong_parameter_is_refused_by_name(field, value):
    with pytest.raises(ValueError, match=f"^{field}: expected "):
        FactorizeSvd(**{field: value})


def of_rank(layer, rank):
    """Give a layer a weight of exactly this rank."""
    rows, columns = layer.weight.shape[0], layer.weight[0].numel()
    generator = torch.Generator().manual_seed(rank)
    matrix = torch.randn(rows, rank, generator=generator) @ torch.randn(rank, columns, generator=generator)
    with torch.no_grad():
        layer.weight.copy_(matrix.reshape(layer.weight.shape))
    return layer


@pytest.mark.parametrize(("layer", "x"), [
    (nn.Linear(64, 48), torch.randn(3, 64)),
    (nn.Linear(64, 48, bias=False), torch.randn(2, 5, 64)),
    (nn.Conv2d(8, 32, 3, padding=1), torch.randn(2, 8, 6, 6)),
    (nn.Conv2d(8, 32, 3, stride=2, padding=2, dilation=2, bias=False), torch.randn(2, 8, 9, 9)),
    (nn.Conv2d(8, 32, (1, 5), padding=(0, 2), padding_mode="circular"), torch.randn(2, 8, 6, 6)),
    (nn.Conv2d(32, 32, 1), torch.randn(2, 32, 4, 4)),
    (nn.Conv1d(8, 32, 5, padding=2), torch.randn(2, 8, 20)),
])
def test_a_layer_of_low_rank_is_replaced_by_two_that_compute_the_same(layer, x):
    of_rank(layer, 3)
    expected = layer(x)
    context = step_context(tiny_workload("mlp"), sample_input=x[:1].numpy())
    step = FactorizeSvd(energy=0.999999, round_to=1, rank_min=1, **ALONE)
    model, structure, report = step.apply(nn.Sequential(layer), context)
    first, second = model[0]
    assert (first.weight.shape[0], second.weight[0].numel()) == (3, 3)
    assert first.bias is None
    assert torch.allclose(model(x), expected, atol=1e-4)
    assert report.numbers["layers_factorized"] == 1
    assert step.rebuild(nn.Sequential(layer), structure)(x).shape == expected.shape


def test_ranks_are_rounded_up_and_the_layer_is_left_where_that_is_too_much():
    layers = nn.Sequential(of_rank(nn.Linear(64, 64), 3), of_rank(nn.Linear(64, 12), 3))
    context = step_context(tiny_workload("mlp"), sample_input=torch.zeros(1, 64).numpy())
    model, structure, report = FactorizeSvd(energy=0.99, round_to=16, rank_min=8, **ALONE).apply(layers, context)
    assert model[0][0].out_features == 16
    assert isinstance(model[1], nn.Linear)
    assert list(structure["layers"]) == ["0"]
    assert report.notes == ("0: rank 16",)


@pytest.mark.parametrize("net", NETS)
def test_every_network_shrinks_and_still_exports(net):
    workload = tiny_workload(net)
    model, _, report = FactorizeSvd(energy=0.6, epochs=1).apply(workload.torch_model(), step_context(workload))
    before, after = exported(net), export_onnx(model, workload.sample_input)
    assert count_parameters(after) < count_parameters(before)
    assert count_macs(after) < count_macs(before)
    assert report.trained_epochs == 1


def test_fine_tuning_keeps_the_accuracy():
    workload = tiny_workload("plain")
    model, _, _ = FactorizeSvd(energy=0.6).apply(workload.torch_model(), step_context(workload))
    assert torch_accuracy(model, workload) >= 0.95


def test_the_counts_are_those_worked_out_by_hand():
    workload = tiny_workload("mlp")
    model, _, report = FactorizeSvd(energy=0.01, round_to=8, rank_min=8, **ALONE).apply(
        workload.torch_model(), step_context(workload))
    exported = export_onnx(model, workload.sample_input)
    # 64·64 → 8·(64+64), 64·32 → 8·(64+32); 32·4 would grow and stays.
    assert report.numbers["layers_factorized"] == 2
    assert count_macs(exported) == 8 * 128 + 8 * 96 + 32 * 4
    assert count_parameters(exported) == 8 * 128 + 64 + 8 * 96 + 32 + 32 * 4 + 4


def test_where_nothing_shrinks_nothing_changes():
    workload = tiny_workload("mlp")
    model, structure, report = FactorizeSvd(energy=1.0).apply(workload.torch_model(), step_context(workload))
    assert structure["layers"] == {}
    assert report.trained_epochs == 0
    assert report.notes == ("no layer was factorized: at energy 1 none would shrink; lower it",)
    assert all(torch.equal(value, workload.torch_model().state_dict()[name])
               for name, value in model.state_dict().items())


def test_groups_shared_layers_and_tied_weights_are_left_and_named():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.grouped = nn.Conv2d(16, 16, 3, padding=1, groups=2)
            self.shared = nn.Linear(64, 64)
            self.again = self.shared
            self.tied, self.other = nn.Linear(64, 64), nn.Linear(64, 64)
            self.other.weight = self.tied.weight

        def forward(self, x):
            x = self.again(self.shared(self.grouped(x.expand(-1, 16, -1, -1)).mean(1).flatten(1)))
            return self.other(self.tied(x))

    context = step_context(tiny_workload("mlp"))
    model, structure, report = FactorizeSvd(energy=0.1, **ALONE).apply(Odd(), context)
    assert structure["layers"] == {}
    assert "grouped was left: a convolution in groups" in report.notes
    assert "shared was left: the model uses it in several places" in report.notes
    assert "tied was left: the model uses it in several places" in report.notes
    assert type(model.again) is nn.Linear


def test_a_model_that_uses_a_layer_s_weight_directly_is_told():
    class Direct(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Linear(64, 64)

        def forward(self, x):
            return x.flatten(1) @ self.inner.weight

    with pytest.raises(StepError, match=r"no longer runs after factorizing .*'Sequential' object has no attribute"):
        FactorizeSvd(energy=0.1, **ALONE).apply(Direct(), step_context(tiny_workload("mlp")))


def test_weights_that_are_not_finite_are_refused():
    workload = tiny_workload("mlp")
    model = workload.torch_model()
    with torch.no_grad():
        model.layers[1].weight[0, 0] = torch.nan
    with pytest.raises(StepError, match=r"layers.1.weight holds NaN"):
        FactorizeSvd().apply(model, step_context(workload))


def test_the_seed_decides_the_outcome():
    workload = tiny_workload("mlp")
    states = [FactorizeSvd(energy=0.5, epochs=1).apply(workload.torch_model(), step_context(workload, seed=seed))[0]
              .state_dict() for seed in (0, 0, 1)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert any(not torch.equal(states[0][name], states[2][name]) for name in states[0])
