from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn.functional import cross_entropy

from compressors.base import StepError
from compressors.distill.logits import Distill
from compressors.export import export_onnx
from compressors.macs import count_macs
from tests.support.tiny_workload import NETS, exported, step_context, tiny_workload, torch_accuracy


@given(st.floats(0.1, 100), st.floats(0, 1), st.floats(0.01, 1), st.integers(1, 64), st.integers(1, 99),
       st.floats(1e-6, 1))
def test_all_sensible_parameters_are_taken(temperature, alpha, width_ratio, round_to, epochs, learning_rate):
    step = Distill(temperature=temperature, alpha=alpha, width_ratio=width_ratio, round_to=round_to, epochs=epochs,
                   learning_rate=learning_rate)
    assert step.alpha == alpha


@pytest.mark.parametrize(("field", "value"), [
    ("temperature", 0), ("temperature", 101), ("alpha", -0.1), ("alpha", 1.1), ("width_ratio", 0),
    ("width_ratio", 1.5), ("round_to", 0), ("epochs", 0), ("learning_rate", -1)])
def test_a_wrong_parameter_is_refused_by_name(field, value):
    with pytest.raises(ValueError, match=f"^{field}: expected "):
        Distill(**{field: value})


def test_the_loss_is_the_formula():
    generator = torch.Generator().manual_seed(0)
    teacher, student = torch.randn(6, 4, generator=generator), torch.randn(3, 4, generator=generator)
    targets, rows = torch.tensor([0, 1, 2, 3, 0, 1]), torch.tensor([4, 0, 5])
    temperature, alpha = 3.0, 0.6
    loss = Distill(temperature=temperature, alpha=alpha).loss(teacher, targets)(student, rows)
    p = torch.softmax(teacher[rows] / temperature, 1).numpy().astype(np.float64)
    q = torch.softmax(student / temperature, 1).numpy().astype(np.float64)
    divergence = float((p * (np.log(p) - np.log(q))).sum(1).mean())
    expected = alpha * temperature**2 * divergence + (1 - alpha) * float(cross_entropy(student, targets[rows]))
    assert float(loss) == pytest.approx(expected, rel=1e-5)


def test_a_student_equal_to_its_teacher_has_only_the_labels_left_to_learn():
    teacher, targets, rows = torch.randn(5, 4), torch.zeros(5, dtype=torch.int64), torch.arange(5)
    assert float(Distill(alpha=1.0).loss(teacher, targets)(teacher, rows)) == pytest.approx(0, abs=1e-6)
    only_labels = Distill(alpha=0.0).loss(teacher, targets)(teacher, rows)
    assert float(only_labels) == pytest.approx(float(cross_entropy(teacher, targets)))


def test_dense_outputs_are_averaged_over_their_positions():
    teacher, student = torch.randn(5, 4), torch.randn(5, 4)
    targets, rows = torch.tensor([0, 1, 2, 3, 0]), torch.arange(5)
    flat = Distill().loss(teacher, targets)(student, rows)
    dense = Distill().loss(teacher[..., None].expand(-1, -1, 7), targets[:, None].expand(-1, 7))(
        student[..., None].expand(-1, -1, 7), rows)
    assert float(dense) == pytest.approx(float(flat), rel=1e-5)


def test_a_damaged_model_recovers_and_keeps_its_layers():
    workload = tiny_workload("plain")
    model = workload.torch_model()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)), alpha=0.3)
    before = torch_accuracy(model, workload)
    taught, structure, report = Distill(learning_rate=5e-3).apply(model, step_context(workload))
    assert before < 0.9 < torch_accuracy(taught, workload)
    assert structure["layers"] == {}
    assert report.trained_epochs == 5


def test_the_teacher_does_not_change():
    workload = tiny_workload("mlp")
    context = step_context(workload)
    Distill(epochs=1).apply(workload.torch_model(), context)
    assert all(torch.equal(value, workload.torch_model().state_dict()[name])
               for name, value in context.teacher.state_dict().items())
    assert not context.teacher.training


@pytest.mark.parametrize("net", NETS)
def test_a_student_is_narrower_and_starts_from_fresh_weights(net):
    workload = tiny_workload(net)
    step = Distill(width_ratio=0.5, epochs=1, learning_rate=1e-6)
    model, structure, report = step.apply(workload.torch_model(), step_context(workload))
    assert count_macs(export_onnx(model, workload.sample_input)) < 0.6 * count_macs(exported(net))
    assert structure["layers"]
    assert report.notes[0].endswith("channels, fresh weights")
    inherited = [value.flatten() for _, value in workload.torch_model().named_parameters()]
    assert all(not torch.isin(parameter.flatten()[:5], torch.cat(inherited)).all()
               for _, parameter in model.named_parameters() if parameter.ndim > 1)


def test_a_student_learns():
    workload = tiny_workload("plain")
    model, _, _ = Distill(width_ratio=0.5, epochs=20, learning_rate=5e-3).apply(workload.torch_model(),
                                                                             step_context(workload))
    assert torch_accuracy(model, workload) >= 0.95


def test_the_seed_decides_the_student():
    workload = tiny_workload("mlp")
    step = Distill(width_ratio=0.5, epochs=1)
    states = [step.apply(workload.torch_model(), step_context(workload, seed=seed))[0].state_dict()
              for seed in (0, 0, 1)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert any(not torch.equal(states[0][name], states[2][name]) for name in states[0])


def test_without_teacher_or_data_there_is_nothing_to_learn_from():
    workload = tiny_workload("mlp")
    context = step_context(workload)
    with pytest.raises(StepError, match="needs the uncompressed torch model"):
        Distill().apply(workload.torch_model(), replace(context, teacher=None))
    with pytest.raises(StepError, match="distill trains, but the workload has no training data"):
        Distill().apply(workload.torch_model(), replace(context, data=None))


def test_a_teacher_with_other_outputs_is_refused():
    workload = tiny_workload("mlp")
    context = replace(step_context(workload), teacher=nn.Sequential(nn.Flatten(), nn.Linear(64, 5)).eval())
    with pytest.raises(StepError, match=r"outputs \(4,\) do not match the teacher's \(5,\)"):
        Distill().apply(workload.torch_model(), context)
