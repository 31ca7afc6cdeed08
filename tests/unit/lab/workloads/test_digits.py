"""The built-in workload: real data, a fixed split, trained once per lab home."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch

from lab.errors import WorkloadError
from lab.workloads import WORKLOADS, digits
from lab.workloads.digits_net import DigitsNet, predict, train


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def heard():
    return []


@pytest.fixture(scope="module")
def workload(home, heard):
    return digits.load(home, lambda what, fraction: heard.append((what, fraction)))


def test_arrays_are_what_a_step_and_a_device_expect(workload):
    """float32 images with a channel in 0–1, int64 labels, one sample with its batch dimension."""
    assert workload.sample_input.shape == (1, 1, 8, 8)
    assert workload.data.train_inputs.shape == (1347, 1, 8, 8)
    assert workload.evaluation_inputs.shape == (450, 1, 8, 8)
    assert workload.data.calibration_inputs.shape == (320, 1, 8, 8)
    assert workload.data.train_inputs.dtype == np.float32
    assert workload.evaluation_targets.dtype == np.int64
    assert 0.0 == workload.data.train_inputs.min() < workload.data.train_inputs.max() == 1.0


def test_trained_model_is_right_on_98_percent_of_held_out_images(workload):
    """The baseline is good enough for a drop of 1 % to mean something."""
    outputs = predict(workload.torch_model(), workload.evaluation_inputs)
    assert workload.score(outputs, workload.evaluation_targets) >= 0.98


def test_training_tells_how_far_it_is(workload, heard):
    """Fractions rise to 1 and say what goes on."""
    fractions = [fraction for _, fraction in heard]
    assert fractions == sorted(fractions)
    assert (fractions[0], fractions[-1]) == (0.0, 1.0)
    assert {what for what, _ in heard} == {"training the digits baseline"}


def test_torch_model_is_a_fresh_copy_in_eval_mode(workload):
    """What one step does to its copy is not seen by the next."""
    first, second = workload.torch_model(), workload.torch_model()
    with torch.no_grad():
        next(first.parameters()).zero_()
    assert not first.training
    assert torch.count_nonzero(next(second.parameters())) > 0


def test_second_load_reads_the_cache_and_loads_no_heavy_library(home, workload):
    """A finished campaign that is submitted again must be quick."""
    script = textwrap.dedent("""
        import sys
        from pathlib import Path
        from lab.workloads.loader import load_workload
        workload = load_workload("digits", Path(sys.argv[1]))
        loaded = {"torch", "sklearn", "onnx", "onnxruntime"} & set(sys.modules)
        print(workload.sha256, sorted(loaded))
    """)
    done = subprocess.run([sys.executable, "-c", script, str(home)], capture_output=True, text=True, check=True)
    assert done.stdout.split(maxsplit=1) == [workload.sha256, "[]\n"]


def test_split_is_seeded_stratified_and_disjoint():
    """Every class gives the same share; no image is on both sides."""
    labels = np.repeat(np.arange(5), [40, 80, 40, 40, 20])
    train_rows, held_out = digits.split(labels, 0.25, seed=1)
    assert not set(train_rows) & set(held_out)
    assert len(train_rows) + len(held_out) == len(labels)
    assert list(np.bincount(labels[held_out])) == [10, 20, 10, 10, 5]
    again, _ = digits.split(labels, 0.25, seed=1)
    other, _ = digits.split(labels, 0.25, seed=2)
    assert np.array_equal(again, train_rows)
    assert not np.array_equal(other, train_rows)


def test_same_seed_same_weights_whatever_the_thread_count_and_global_seed():
    """The hash of a workload depends on its weights, so training must not depend on its surroundings."""
    arrays = digits.digits_arrays()
    inputs, labels = arrays["train_inputs"][:128], arrays["train_targets"][:128]
    threads = torch.get_num_threads()
    torch.manual_seed(1)
    first = train(inputs, labels, seed=5, epochs=1)
    torch.manual_seed(2)
    torch.set_num_threads(1)
    second = train(inputs, labels, seed=5, epochs=1)
    torch.set_num_threads(threads)
    other = train(inputs, labels, seed=6, epochs=1)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert not torch.equal(next(first.parameters()), next(other.parameters()))
    assert torch.get_num_threads() == threads


def test_training_leaves_the_global_random_state_alone():
    """A user's own seed is theirs."""
    arrays = digits.digits_arrays()
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    train(arrays["train_inputs"][:64], arrays["train_targets"][:64], seed=0, epochs=1)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("accuracy_ratio", [0.9799, 0.1, float("nan")])
def test_a_poor_baseline_is_refused(accuracy_ratio):
    """A poor baseline would flatter every technique."""
    with pytest.raises(WorkloadError, match=r"expected at least 0.98"):
        digits.check_accuracy(accuracy_ratio)


def test_network_has_what_every_family_of_techniques_works_on():
    """Convolutions with normalisation to prune, linear layers to factorize; wide enough to show on a clock."""
    kinds = [type(module).__name__ for module in DigitsNet().modules()]
    assert (kinds.count("Conv2d"), kinds.count("BatchNorm2d"), kinds.count("Linear")) == (3, 3, 2)
    assert all(width % 16 == 0 for width in (module.out_channels for module in DigitsNet().modules()
                                             if isinstance(module, torch.nn.Conv2d)))


def test_registry_names_this_module():
    """`digits` in a campaign file means this."""
    assert WORKLOADS["digits"] == "lab.workloads.digits:load"
