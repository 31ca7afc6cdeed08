import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from compressors.base import StepError
from compressors.training import (
    BATCH,
    cross_entropy_on,
    fit,
    logits_of,
    one_tensor,
    seeded,
    training_tensors,
)
from lab.workloads.base import WorkloadData
from tests.support.tiny_workload import Mlp, step_context, tiny_workload, torch_accuracy


def trained(seed, epochs=2, learning_rate=1e-2, progress=lambda _what, _fraction: None):
    workload = tiny_workload("mlp")
    with seeded(1):
        model = Mlp()
    context = step_context(workload, seed=seed, progress=progress)
    inputs, targets = training_tensors(context, "test")
    fit(model, inputs, cross_entropy_on(targets), epochs=epochs, learning_rate=learning_rate, context=context,
        what="training")
    return model, workload


def test_training_learns_and_leaves_the_model_ready_to_use():
    model, workload = trained(seed=0, epochs=6)
    assert torch_accuracy(model, workload) > 0.9
    assert not model.training
    assert all(parameter.grad is None for parameter in model.parameters())


def test_one_seed_gives_one_outcome_and_another_seed_another():
    first, again, other = (trained(seed)[0].state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_training_does_not_disturb_the_random_numbers_outside():
    model, inputs, context = Mlp(), torch.randn(9, 1, 8, 8), step_context(tiny_workload("mlp"))
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    fit(model, inputs, cross_entropy_on(torch.zeros(9, dtype=torch.int64)), epochs=1, learning_rate=0.1,
        context=context, what="training")
    assert torch.equal(torch.rand(3), expected)


def test_progress_is_reported_per_epoch():
    heard = []
    trained(seed=0, epochs=4, progress=lambda what, fraction: heard.append((what, fraction)))
    assert heard == [("training", 0.25), ("training", 0.5), ("training", 0.75), ("training", 1.0)]


def test_a_loss_that_is_not_finite_ends_training_with_the_way_out():
    model, inputs = nn.Linear(2, 2), torch.full((4, 2), torch.inf)
    context = step_context(tiny_workload("mlp"))
    with pytest.raises(StepError, match=r"not a finite number in epoch 1 \(learning_rate 0.01\); try a smaller"):
        fit(model, inputs, cross_entropy_on(torch.zeros(4, dtype=torch.int64)), epochs=2, learning_rate=0.01,
            context=context, what="training")


@pytest.mark.parametrize("rows", [1, 2, BATCH, BATCH + 1, BATCH + 2])
def test_batch_normalisation_never_meets_a_single_last_row(rows):
    model = nn.Sequential(nn.Linear(2, 4), *([nn.BatchNorm1d(4)] if rows > 1 else []), nn.Linear(4, 2))
    before = copy.deepcopy(model.state_dict())
    fit(model, torch.randn(rows, 2), cross_entropy_on(torch.zeros(rows, dtype=torch.int64)), epochs=1,
        learning_rate=0.1, context=step_context(tiny_workload("mlp")), what="training")
    assert not torch.equal(model[0].weight, before["0.weight"])


def test_training_data_is_copied_in_the_types_torch_needs():
    context = step_context(tiny_workload("mlp"))
    inputs, targets = training_tensors(context, "test")
    inputs.zero_()
    assert targets.dtype == torch.int64
    assert np.any(context.data.train_inputs)


def test_without_training_data_the_error_says_what_to_do():
    context = step_context(tiny_workload("mlp"))
    empty = WorkloadData(train_inputs=np.zeros((0, 1), np.float32), train_targets=np.zeros(0, np.int64),
                         calibration_inputs=np.zeros((1, 1), np.float32))
    for data in (None, empty):
        with pytest.raises(StepError, match=r"prune trains, but the workload has no training data; .* epochs: 0"):
            training_tensors(replace(context, data=data), "prune")


@pytest.mark.parametrize("targets", [np.zeros(256, np.float32), np.zeros(7, np.int64)])
def test_targets_that_are_no_labels_are_refused(targets):
    context = step_context(tiny_workload("mlp"))
    data = WorkloadData(train_inputs=context.data.train_inputs, train_targets=targets,
                        calibration_inputs=context.data.calibration_inputs)
    with pytest.raises(StepError, match="expected 256 whole numbers, got train_targets of type"):
        training_tensors(replace(context, data=data), "prune")


def test_outputs_must_be_one_tensor_of_scores():
    assert one_tensor(torch.zeros(2, 3)).shape == (2, 3)
    with pytest.raises(StepError, match="got tuple"):
        one_tensor((torch.zeros(2, 3),))
    with pytest.raises(StepError, match=r"got shape \(2,\)"):
        one_tensor(torch.zeros(2))


def test_logits_come_in_order_without_gradients():
    model = Mlp().train()
    inputs = torch.randn(1100, 1, 8, 8)
    logits = logits_of(model, inputs)
    assert not logits.requires_grad
    assert not model.training
    assert torch.allclose(logits[-1], model(inputs[-1:])[0], atol=1e-6)
