"""What every compression step must keep, whichever family it is from."""

import dataclasses
import inspect
import json
import subprocess
import sys
import typing

import numpy as np
import pytest
import torch

from compressors import STEPS
from compressors.base import HardwareFacts, StepReport
from compressors.onnx_model import check_onnx, open_session, serialize
from lab.compression.steps import step_class, step_params, validate_step
from lab.domain.campaign import StepSpec
from tests.support.onnx_graphs import sha256_of
from tests.support.tiny_workload import NETS, exported, step_context, tiny_workload

FAST = {"prune_channels": {"epochs": 1}, "factorize_svd": {"epochs": 1, "energy": 0.5}, "distill": {"epochs": 1},
        "quantize_static": {"calibration_samples": 32}}
"""Parameters that keep these tests short; a new step adds its own line or runs with its defaults."""

TORCH_STEPS = [name for name in STEPS if step_class(name).kind == "torch"]
ONNX_STEPS = [name for name in STEPS if step_class(name).kind == "onnx"]


def fast(name):
    return validate_step(StepSpec(name=name, params=tuple(FAST.get(name, {}).items())))


@pytest.mark.parametrize("name", STEPS)
def test_a_step_is_a_frozen_dataclass_with_defaults_and_says_what_it_is(name):
    cls = step_class(name)
    step = cls()
    assert dataclasses.is_dataclass(cls)
    assert cls.__dataclass_params__.frozen
    assert all(field.kw_only for field in dataclasses.fields(cls))
    assert cls.kind in ("torch", "onnx")
    assert isinstance(cls.version, int)
    assert cls.summary.endswith(".")
    assert set(cls.hardware_fields) <= {field.name for field in dataclasses.fields(HardwareFacts)}
    assert cls() == step
    with pytest.raises(dataclasses.FrozenInstanceError):
        step.version = 2
    json.dumps(step_params(step))


@pytest.mark.parametrize("name", STEPS)
def test_every_parameter_is_explained_and_checked(name):
    cls = step_class(name)
    text = inspect.getdoc(cls) + (cls.__post_init__.__doc__ or "")
    for field in dataclasses.fields(cls):
        assert field.name in text or field.name in ("epochs", "learning_rate", "activations", "weights", "calibration",
                                                    "calibration_samples"), field.name
        with pytest.raises(ValueError, match=f"^{field.name}: "):
            cls(**{field.name: object()})


@pytest.mark.parametrize("name", STEPS)
def test_a_step_has_the_methods_of_its_kind(name):
    cls = step_class(name)
    methods = {"torch": ["apply", "rebuild"], "onnx": ["apply"]}[cls.kind]
    assert all(callable(getattr(cls, method)) for method in methods)
    assert list(inspect.signature(cls.apply).parameters) == ["self", "model", "context"]


def test_looking_at_steps_loads_no_heavy_library():
    code = ("import sys\nfrom lab.compression.steps import describe_steps\nassert len(describe_steps()) >= 4\n"
            "print(sorted({'torch', 'onnx', 'onnxruntime', 'torch_pruning', 'numpy'} & set(sys.modules)))")
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("name", TORCH_STEPS)
def test_a_rebuilt_model_with_loaded_weights_computes_the_same(name, net, tmp_path):
    workload = tiny_workload(net)
    step = fast(name)
    model, structure, report = step.apply(workload.torch_model(), step_context(workload))
    assert isinstance(report, StepReport)
    assert all(isinstance(note, str) for note in report.notes)
    assert all(np.isfinite(value) for value in report.numbers.values())
    torch.save(model.state_dict(), tmp_path / "state.pt")
    rebuilt = step.rebuild(workload.torch_model(), json.loads(json.dumps(structure)))
    rebuilt.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    inputs = torch.from_numpy(workload.evaluation_inputs[:9])
    with torch.no_grad():
        assert torch.equal(rebuilt.eval()(inputs), model(inputs))
    assert not model.training


@pytest.mark.parametrize("name", ONNX_STEPS)
def test_an_onnx_step_gives_a_valid_graph_and_the_same_one_again(name):
    workload = tiny_workload("plain")
    given = exported("plain")
    made, report = fast(name).apply(given, step_context(workload))
    again, _ = fast(name).apply(given, step_context(workload))
    check_onnx(made, HardwareFacts(opset_max=18, ir_max=10))
    outputs, = open_session(serialize(made)).run(None, {"input": workload.evaluation_inputs})
    assert outputs.shape == (128, 4)
    assert np.isfinite(outputs).all()
    assert sha256_of(made) == sha256_of(again)
    assert isinstance(report, StepReport)


@pytest.mark.parametrize("name", STEPS)
def test_progress_stays_between_nothing_and_everything(name):
    workload = tiny_workload("mlp")
    heard = []
    context = step_context(workload, progress=lambda what, fraction: heard.append((what, fraction)))
    step = fast(name)
    step.apply(workload.torch_model() if step.kind == "torch" else exported("mlp"), context)
    assert heard
    assert all(what and 0 <= fraction <= 1 for what, fraction in heard)


@pytest.mark.parametrize("name", STEPS)
def test_types_of_parameters_are_ones_a_campaign_file_can_hold(name):
    hints = typing.get_type_hints(step_class(name))
    for field in dataclasses.fields(step_class(name)):
        assert isinstance(field.default, (int, float, bool, str, tuple, type(None)))
        assert field.name in hints
