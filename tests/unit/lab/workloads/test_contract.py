"""The contract users read is the contract that is checked."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from lab.errors import WorkloadError
from lab.workloads.contract import CONTRACT, OPTIONAL, REQUIRED, check_top1, make_score, to_array
from lab.workloads.user_file import load_user_file

ROOT = Path(__file__).resolve().parents[4]
PAGE = (ROOT / "docs/workloads.md").read_text()


def test_the_documented_contract_is_the_one_in_errors():
    """One text, two places."""
    assert CONTRACT in PAGE


def test_every_attribute_is_in_the_contract():
    """Nothing is checked that nobody was told."""
    assert re.findall(r"^    (\w+) ", CONTRACT, re.MULTILINE) == [*REQUIRED, *OPTIONAL]


def test_the_documented_smallest_file_works(tmp_path):
    """What people copy first."""
    code = re.search(r"The smallest file that meets it:\n\n```python\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "my_model.py").write_text(code.group(1))
    model = torch.nn.Sequential(torch.nn.Linear(8, 32), torch.nn.ReLU(), torch.nn.Linear(32, 3))
    torch.save(model.state_dict(), tmp_path / "weights.pt")
    torch.save((torch.randn(1000, 8), torch.arange(1000) % 3), tmp_path / "data.pt")
    workload = load_user_file(tmp_path / "my_model.py", "workload")
    assert workload.evaluation_inputs.shape == (100, 8)
    assert workload.torch_model()(torch.from_numpy(workload.sample_input)).shape == (1, 3)


@pytest.mark.parametrize(("value", "dtype"), [
    (np.zeros(2, np.float16), np.float32), (np.zeros(2, np.uint8), np.int64), (np.zeros(2, bool), np.int64),
    (torch.zeros(2, dtype=torch.float64, requires_grad=True), np.float32), (torch.zeros(2, dtype=torch.int8), np.int64),
])
def test_arrays_become_one_of_two_types(value, dtype):
    """Everything behind this edge knows float32 and int64."""
    assert to_array(value, "f.py:w", "train[0]").dtype == dtype


@pytest.mark.parametrize("value", [np.zeros(2, complex), np.array([object()]), np.array(["a"])])
def test_other_arrays_are_refused(value):
    """No guess at what they could mean."""
    with pytest.raises(WorkloadError, match=r"f.py:w: train\[0\]: expected numbers"):
        to_array(value, "f.py:w", "train[0]")


def test_float64_beyond_float32_is_infinite_and_refused():
    """A silent infinity would ruin every step after it."""
    with np.errstate(over="ignore"), pytest.raises(WorkloadError, match="finite"):
        to_array(np.array([1e300]), "f.py:w", "train[0]")


def test_the_default_score_is_top1_accuracy():
    """On outputs as onnxruntime gives them."""
    score = make_score(None, "f.py:w")
    assert score(np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([1, 1])) == 0.5
    check_top1(np.zeros((1, 2)), np.array([0, 1]), "f.py:w", "evaluation[1]")
