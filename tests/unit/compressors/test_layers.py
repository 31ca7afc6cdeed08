from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from compressors.base import StepError
from compressors.layers import (
    check_finite,
    check_runs,
    example_input,
    flat_tensors,
    layer_names,
    output_layers,
    parameter_count,
)
from tests.support.tiny_workload import NETS, Mlp, PlainConv, step_context, tiny_workload

X = torch.randn(2, 1, 8, 8)


class Sum(nn.Module):
    """An output that two linear layers make together, behind a softmax."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(64, 8)
        self.left = nn.Linear(8, 4)
        self.right = nn.Linear(64, 4)

    def forward(self, x):
        x = x.flatten(1)
        return torch.softmax(self.left(torch.relu(self.first(x))) + self.right(x), 1)


class Tokens(nn.Module):
    """Linear layers on a sequence: three dimensions, so another gradient node than for two."""

    def __init__(self):
        super().__init__()
        self.inner, self.outer = nn.Linear(8, 6), nn.Linear(6, 4, bias=False)

    def forward(self, x):
        return self.outer(torch.relu(self.inner(x[:, 0]))).transpose(1, 2)


def names_of(model, layers):
    return sorted(name for name, module in model.named_modules() if module in layers)


@pytest.mark.parametrize(("model", "expected"), [
    (PlainConv(), ["classifier.3"]), (NETS["residual"](), ["head"]), (NETS["depthwise"](), ["head"]),
    (Mlp(), ["layers.5"]), (Sum(), ["left", "right"]), (Tokens(), ["outer"]),
    (nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 1), nn.BatchNorm2d(4), nn.Flatten()), ["2"]),
])
def test_output_layers_are_those_with_none_behind_them(model, expected):
    assert names_of(model, output_layers(model, X)) == expected


def test_every_name_of_a_shared_layer_is_known():
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
    model.append(model[0])
    assert layer_names(model)[model[0]] == ("0", "3")
    assert layer_names(model)[model[2]] == ("2",)


def test_tensors_are_found_in_nested_outputs():
    a, b, c = torch.zeros(1), torch.zeros(2), torch.zeros(3)
    assert [t.numel() for t in flat_tensors((a, {"x": b, "y": [c]}, "text"))] == [1, 2, 3]


def test_an_example_comes_from_the_sample_or_the_training_data():
    context = step_context(tiny_workload("mlp"))
    assert example_input(context).shape == (1, 1, 8, 8)
    assert example_input(replace(context, sample_input=None)).shape == (1, 1, 8, 8)
    with pytest.raises(StepError, match="neither a sample input nor training data"):
        example_input(replace(context, sample_input=None, data=None))


def test_weights_that_are_not_finite_are_named():
    model = Mlp()
    check_finite(model)
    with torch.no_grad():
        model.layers[3].bias[2] = torch.nan
    with pytest.raises(StepError, match=r"the model's layers.3.bias holds NaN or infinity"):
        check_finite(model)


def test_a_model_that_no_longer_runs_is_told():
    check_runs(Mlp(), X, "nothing")
    with pytest.raises(StepError, match="no longer runs after the change: mat1 and mat2"):
        check_runs(Mlp(), torch.zeros(1, 63), "the change")


def test_shared_parameters_count_once():
    layer = nn.Linear(3, 3)
    assert parameter_count(nn.Sequential(layer, layer)) == 12
    assert parameter_count(nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))) == 3 * 2 + 2 + 2 + 2


def test_the_example_is_a_copy():
    context = step_context(tiny_workload("mlp"))
    example_input(context).fill_(9)
    assert not np.any(context.sample_input == 9)
