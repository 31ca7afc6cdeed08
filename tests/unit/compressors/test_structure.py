import copy
import json

import pytest
import torch
from torch import nn

from compressors.base import StepError
from compressors.structure import layer_shapes, rebuild, replace_layer, replaced, resized, unchanged
from tests.support.tiny_workload import NETS, PlainConv


def narrowed(model):
    """The first convolution of PlainConv with 8 channels instead of 16, by hand."""
    model.features[0] = nn.Conv2d(1, 8, 3, padding=1, bias=False)
    model.features[1] = nn.BatchNorm2d(8)
    model.features[3] = nn.Conv2d(8, 32, 3, padding=1)
    return model


def test_shapes_hold_dimensions_and_tensors_of_layers_that_have_them():
    shapes = layer_shapes(PlainConv())
    assert shapes["features.0"] == {"type": "Conv2d", "tensors": {"weight": [16, 1, 3, 3]},
                                    "attributes": {"in_channels": 1, "out_channels": 16, "groups": 1}}
    assert shapes["features.1"]["tensors"]["running_mean"] == [16]
    assert "features.2" not in shapes


def test_only_changed_layers_are_recorded_and_rebuilt_in_place():
    model = PlainConv()
    before = layer_shapes(model)
    structure = resized(before, layer_shapes(narrowed(model)))
    assert set(structure["layers"]) == {"features.0", "features.1", "features.3"}
    fresh = rebuild(PlainConv(), json.loads(json.dumps(structure)))
    fresh.load_state_dict(model.state_dict())
    x = torch.randn(3, 1, 8, 8)
    assert torch.equal(fresh.eval()(x), model.eval()(x))
    assert fresh.features[1].num_features == 8
    assert fresh.features[3].in_channels == 8


@pytest.mark.parametrize("net", NETS)
def test_an_unchanged_structure_changes_nothing(net):
    model = NETS[net]()
    expected = copy.deepcopy(model.state_dict())
    assert resized(layer_shapes(model), layer_shapes(model)) == unchanged()
    rebuilt = rebuild(model, unchanged())
    assert all(torch.equal(value, expected[name]) for name, value in rebuilt.state_dict().items())


def test_a_sequence_is_rebuilt_with_all_its_arguments():
    pair = (nn.Conv2d(1, 4, 3, stride=2, padding=1, dilation=2, bias=False, padding_mode="circular"),
            nn.Conv2d(4, 16, 1))
    structure = json.loads(json.dumps(replaced({"features.0": pair})))
    model = rebuild(PlainConv(), structure)
    made = model.features[0]
    assert str(made) == str(nn.Sequential(*pair))
    assert made[0].bias is None
    assert made[1].bias is not None


def test_linear_layers_make_a_sequence_too_and_the_model_itself_can_be_one():
    structure = replaced({"": (nn.Linear(6, 2, bias=False), nn.Linear(2, 5))})
    model = rebuild(nn.Linear(6, 5), structure)
    assert model(torch.zeros(1, 6)).shape == (1, 5)
    assert isinstance(replace_layer(nn.Linear(1, 1), "", nn.ReLU()), nn.ReLU)


def test_buffers_and_tuples_keep_their_kind():
    model = nn.Sequential(nn.LayerNorm(8), nn.BatchNorm1d(8))
    before = layer_shapes(model)
    smaller = nn.Sequential(nn.LayerNorm(4), nn.BatchNorm1d(4))
    rebuilt = rebuild(model, json.loads(json.dumps(resized(before, layer_shapes(smaller)))))
    assert rebuilt[0].normalized_shape == (4,)
    assert not isinstance(rebuilt[1].running_mean, nn.Parameter)
    assert rebuilt[1].num_batches_tracked.dtype == torch.int64
    assert rebuilt(torch.zeros(2, 4)).shape == (2, 4)


def test_a_structure_of_another_model_is_refused():
    structure = replaced({"nowhere.0": (nn.Linear(1, 1),)})
    with pytest.raises(StepError, match=r"names layer 'nowhere.0', which the model does not have"):
        rebuild(PlainConv(), structure)


def test_a_structure_of_another_version_or_with_unknown_layers_is_refused():
    with pytest.raises(StepError, match="format 9, this version reads 1"):
        rebuild(PlainConv(), {"format": 9, "layers": {}})
    entry = {"kind": "sequence", "layers": [{"type": "Bilinear", "arguments": {}}]}
    with pytest.raises(StepError, match="layer of type 'Bilinear', expected one of Conv1d, Conv2d, Linear"):
        rebuild(PlainConv(), {"format": 1, "layers": {"features.0": entry}})
