"""The forms in which a campaign names its workload."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from lab.errors import WorkloadError
from lab.workloads import NOTE
from lab.workloads.loader import load_workload, parse_spec

ROOT = Path(__file__).resolve().parents[4]
EXAMPLE = ROOT / "examples" / "my_workload.py"
TINY = ROOT / "tests" / "data" / "tiny.onnx"


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


def test_notes_go_to_whoever_watches_the_loading(tmp_path):
    """Without them nobody would learn that a made-up input is measured and accuracy is not known."""
    told = []
    workload = load_workload(str(TINY), tmp_path, lambda text, fraction: told.append((text, fraction)))
    assert len(workload.notes) == 2
    assert told == [(NOTE + note, 1.0) for note in workload.notes]
    assert load_workload(str(TINY), tmp_path).notes == workload.notes
