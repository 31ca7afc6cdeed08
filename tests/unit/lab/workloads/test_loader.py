"""The forms in which a campaign names its workload."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from lab.errors import WorkloadError
from lab.workloads.loader import load_workload, parse_spec

EXAMPLE = Path(__file__).resolve().parents[4] / "examples" / "my_workload.py"


@pytest.mark.parametrize(("text", "kind", "files"), [
    ("digits", "builtin", []),
    ("a/b.py:make", "python", ["/base/a/b.py"]),
    ("/abs/b.py:make", "python", ["/abs/b.py"]),
    ("m.onnx", "onnx", ["/base/m.onnx"]),
    ("m.onnx+d.npz", "onnx", ["/base/m.onnx", "/base/d.npz"]),
    ("/x/a+b.onnx+/y/c+d.npz", "onnx", ["/x/a+b.onnx", "/y/c+d.npz"]),
])
def test_forms(text, kind, files):
    """Relative paths start at the campaign file's folder; what was parsed can be written and parsed again."""
    spec = parse_spec(text, Path("/base"))
    assert spec.kind == kind
    assert [str(path) for path in spec.files] == files
    assert parse_spec(str(spec)) == spec


@pytest.mark.parametrize(("text", "expected"), [
    ("digit", "Did you mean 'digits'?"), ("model.py", "Write model.py:name."), ("model.py:", "Write model.py:name."),
    ("model.py:a-b", "got 'model.py:a-b'"), ("model.pt", "model.onnx+data.npz"), ("", "got ''"),
    (".onnx+x.npz", "expected a built-in name"), ("m.onnx+", "expected a built-in name"),
])
def test_other_texts_list_the_forms(text, expected):
    """The error shows what would have been understood."""
    with pytest.raises(WorkloadError) as caught:
        parse_spec(text)
    assert "expected a built-in name (digits), path/to/file.py:name" in str(caught.value)
    assert expected in str(caught.value)


def test_the_example_of_an_own_workload_loads_and_is_good(tmp_path):
    """What the documentation shows works, and stays short."""
    workload = load_workload(f"{EXAMPLE}:workload", tmp_path)
    with torch.no_grad():
        outputs = workload.torch_model()(torch.from_numpy(workload.evaluation_inputs)).numpy()
    assert workload.metric_name == "balanced accuracy"
    assert workload.score(outputs, workload.evaluation_targets) > 0.9
    assert workload.sample_input.dtype == np.float32
    assert len(EXAMPLE.read_text().splitlines()) <= 60
