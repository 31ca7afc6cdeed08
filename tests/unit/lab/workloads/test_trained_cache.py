"""A trained model on disk is whole, or it is made again."""

from __future__ import annotations

import json

import numpy as np
import pytest

from lab.errors import WorkloadError
from lab.workloads.trained_cache import read_trained, write_trained

ARRAYS = {"x": np.arange(6, dtype=np.float32).reshape(2, 3), "y": np.array([1, 0])}


def write(directory, weights=b"weights", **changes):
    values = {"workload_sha256": "1" * 64, "accuracy_ratio": 0.99, "arrays": ARRAYS, "versions": {"torch": "2"},
              "save_weights": lambda path: path.write_bytes(weights)}
    return write_trained(directory, **(values | changes))


def test_what_is_written_is_read(tmp_path):
    """Facts, arrays and weights come back as they were."""
    write(tmp_path / "workloads" / "entry")
    stored = read_trained(tmp_path / "workloads" / "entry")
    assert stored.facts.workload_sha256 == "1" * 64
    assert stored.weights_path.read_bytes() == b"weights"
    assert {name: array.tolist() for name, array in stored.arrays.items()} == {
        name: array.tolist() for name, array in ARRAYS.items()}
    assert [path.name for path in (tmp_path / "workloads").iterdir()] == ["entry"]


def test_no_entry_is_none_without_a_warning(tmp_path, caplog):
    """The first use is not a defect."""
    assert read_trained(tmp_path / "entry") is None
    assert caplog.text == ""


@pytest.mark.parametrize("damage", [
    lambda entry: (entry / "weights.pt").write_bytes(b"weight"),
    lambda entry: (entry / "arrays.npz").write_bytes((entry / "arrays.npz").read_bytes()[:-9]),
    lambda entry: (entry / "weights.pt").unlink(),
    lambda entry: (entry / "facts.json").write_text("{"),
    lambda entry: (entry / "facts.json").write_text("[]"),
    lambda entry: (entry / "facts.json").write_text(json.dumps({"workload_sha256": "1"})),
    lambda entry: (entry / "facts.json").write_bytes(b"\xff\xfe"),
])
def test_a_damaged_entry_is_not_used_and_is_replaced(tmp_path, caplog, damage):
    """Torn files, lost files and foreign JSON all lead to a new entry, and the log says so."""
    entry = tmp_path / "entry"
    write(entry)
    damage(entry)
    assert read_trained(entry) is None
    assert "is made again" in caplog.text
    assert write(entry, b"new").weights_path.read_bytes() == b"new"


def test_the_first_writer_wins(tmp_path):
    """Two processes that train at once end with one entry, and both use it."""
    entry = tmp_path / "entry"
    write(entry, b"first")
    assert write(entry, b"second").weights_path.read_bytes() == b"first"


def test_a_failed_save_leaves_nothing_behind(tmp_path):
    """An entry appears whole or not at all."""
    def full_disk(_path):
        raise OSError(28, "No space left on device")

    with pytest.raises(WorkloadError, match="No space left"):
        write(tmp_path / "entry", save_weights=full_disk)
    assert list(tmp_path.iterdir()) == []


def test_a_home_that_cannot_be_written_is_named(tmp_path):
    """The error says where, and what to set."""
    (tmp_path / "file").write_text("")
    with pytest.raises(WorkloadError, match=r"file/entry.*LAB_HOME"):
        write(tmp_path / "file" / "entry")
