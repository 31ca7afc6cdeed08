import pytest
import torch
from torch import nn
from torch_pruning.pruner.importance import GroupMagnitudeImportance

from compressors.base import StepError
from compressors.prune.narrow import narrow
from compressors.structure import rebuild
from tests.support.tiny_workload import NETS

X = torch.randn(1, 1, 8, 8, generator=torch.Generator().manual_seed(0))


class Grouped(nn.Module):
    """A convolution in groups and group normalisation: channels go from every group alike."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 32, 3, padding=1)
        self.grouped = nn.Conv2d(32, 32, 3, padding=1, groups=4)
        self.norm = nn.GroupNorm(4, 32)
        self.head = nn.Linear(32, 4)

    def forward(self, x):
        return self.head(torch.relu(self.norm(self.grouped(torch.relu(self.stem(x))))).mean((2, 3)))


class Concatenated(nn.Module):
    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Conv2d(1, 16, 3, padding=1), nn.Conv2d(1, 24, 3, padding=1)
        self.join, self.head = nn.Conv2d(40, 16, 1), nn.Linear(16, 4)

    def forward(self, x):
        x = torch.relu(torch.cat([self.left(x), self.right(x)], 1))
        return self.head(torch.relu(self.join(x)).mean((2, 3)))


class Signal(nn.Module):
    """One-dimensional convolutions, as for sensor data."""

    def __init__(self):
        super().__init__()
        self.first, self.norm = nn.Conv1d(8, 32, 3, padding=1), nn.BatchNorm1d(32)
        self.second, self.head = nn.Conv1d(32, 16, 3, padding=1), nn.Linear(16, 4)

    def forward(self, x):
        return self.head(torch.relu(self.second(torch.relu(self.norm(self.first(x[:, 0]))))).mean(2))


class FixedSizes(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(1, 16, 3, padding=1), nn.Linear(1024, 4)

    def forward(self, x):
        return self.head(self.conv(x).view(-1, 1024))


def halve(model, keep_ratio=0.5, round_to=8):
    model.requires_grad_(True)
    return narrow(model, X, keep_ratio=keep_ratio, round_to=round_to, importance=GroupMagnitudeImportance(p=2))


def widths(model):
    return {name: module.weight.shape[0] for name, module in model.named_modules()
            if isinstance(module, (nn.Conv1d, nn.Conv2d, nn.Linear))}


@pytest.mark.parametrize(("make", "expected"), [
    (NETS["plain"], {"features.0": 8, "features.3": 16, "classifier.1": 16, "classifier.3": 4}),
    (NETS["residual"], {"stem": 8, "inner": 16, "outer": 8, "head": 4}),
    (NETS["depthwise"], {"stem": 8, "depthwise": 8, "pointwise": 16, "head": 4}),
    (NETS["mlp"], {"layers.1": 32, "layers.3": 16, "layers.5": 4}),
    (Grouped, {"stem": 16, "grouped": 16, "head": 4}),
    (Concatenated, {"left": 8, "right": 16, "join": 8, "head": 4}),
    (Signal, {"first": 16, "second": 8, "head": 4}),
])
def test_every_layer_but_the_last_gets_the_width_worked_out_by_hand(make, expected):
    model = make()
    narrowed = halve(model)
    assert widths(model) == expected
    fresh = rebuild(make(), narrowed.structure)
    fresh.load_state_dict(model.state_dict())
    batch = torch.randn(3, 1, 8, 8)
    assert torch.allclose(fresh.eval()(batch), model.eval()(batch))


def test_the_channels_of_least_weight_go_and_the_others_keep_their_weights():
    model = NETS["mlp"]()
    with torch.no_grad():
        model.layers[1].weight[::2] *= 0.001
        model.layers[3].weight[:, ::2] *= 0.001
    kept = model.layers[1].weight[1::2].clone()
    halve(model)
    assert torch.equal(model.layers[1].weight, kept)


def test_numbers_say_what_became_of_the_widths():
    narrowed = halve(NETS["plain"](), keep_ratio=0.5, round_to=16)
    assert (narrowed.channels_before, narrowed.channels_after) == (80, 48)
    assert (narrowed.layers_narrowed, narrowed.layers_kept_all) == (2, 1)


def test_one_pruner_does_not_leave_traces_in_the_next():
    halve(Grouped())
    model = NETS["plain"]()
    halve(model)
    assert widths(model)["features.3"] == 16


def test_sizes_written_as_numbers_are_explained():
    with pytest.raises(StepError, match=r"cannot be removed from this model \(shape .*use flatten\(1\)"):
        halve(FixedSizes())


def test_a_model_of_one_layer_has_nothing_to_narrow():
    with pytest.raises(StepError, match="no layer can be narrowed: the model has no convolution or linear layer in"):
        halve(nn.Sequential(nn.Flatten(), nn.Linear(64, 4)))
