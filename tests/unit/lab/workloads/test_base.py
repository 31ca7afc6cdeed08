"""What identifies a workload, and how its score is computed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from lab.workloads.base import (
    WorkloadData,
    array_sha256,
    data_arrays,
    evaluation_notes,
    top1_accuracy,
    workload_sha256,
)

ANY_ARRAY = arrays(st.sampled_from([np.float32, np.int64]), array_shapes(max_dims=3, max_side=4),
                   elements=st.integers(-100, 100))


def test_top1_accuracy_counts_rows_whose_largest_output_is_the_target():
    """Two of three rows are right."""
    outputs = np.array([[0.1, 0.9], [0.8, 0.2], [0.4, 0.6]], np.float32)
    assert top1_accuracy(outputs, np.array([1, 0, 0])) == pytest.approx(2 / 3)


@pytest.mark.parametrize(("outputs", "targets"), [((3,), (3,)), ((3, 2), (2,)), ((3, 2), (3, 1))])
def test_top1_accuracy_refuses_shapes_it_would_broadcast(outputs, targets):
    """Broadcasting (3,) against (3, 1) would give a number that means nothing."""
    with pytest.raises(ValueError, match="top-1 accuracy needs"):
        top1_accuracy(np.zeros(outputs), np.zeros(targets))


@given(ANY_ARRAY)
def test_array_hash_follows_type_shape_and_values(array):
    """A copy hashes the same, any change does not."""
    assert array_sha256(array.copy()) == array_sha256(array)
    assert array_sha256(np.asfortranarray(array)) == array_sha256(array)
    assert array_sha256(array.astype(array.dtype.newbyteorder(">"))) == array_sha256(array)
    assert array_sha256(array[None]) != array_sha256(array)
    assert array_sha256(array.astype(np.float64)) != array_sha256(array)
    changed = array.copy()
    changed.flat[0] += 1
    assert array_sha256(changed) != array_sha256(array)


@given(st.dictionaries(st.text(min_size=1, max_size=3), ANY_ARRAY, min_size=2, max_size=4), st.binary(max_size=8))
def test_workload_hash_is_independent_of_order_but_not_of_names(found, source):
    """Two weights that swap places are another model."""
    names = list(found)
    digest = workload_sha256({"main": source}, found)
    assert workload_sha256({"main": source}, {name: found[name] for name in reversed(names)}) == digest
    assert workload_sha256({"main": source + b"#"}, found) != digest
    assert workload_sha256({"main": source}, {**found, names[0]: None}) != digest
    renamed = {("~~~~" if name == names[0] else name): array for name, array in found.items()}
    assert workload_sha256({"main": source}, renamed) != digest


def test_absent_data_hashes_as_absent():
    """No data is not the same as empty data."""
    empty = WorkloadData(train_inputs=np.zeros((0, 2)), train_targets=np.zeros(0), calibration_inputs=np.zeros((0, 2)))
    assert set(data_arrays(None)) == set(data_arrays(empty))
    assert workload_sha256({}, data_arrays(None)) != workload_sha256({}, data_arrays(empty))


ROWS = np.arange(6.0).reshape(3, 2)


@pytest.mark.parametrize(("evaluation", "train", "calibration", "words"), [
    (None, ROWS, ROWS, ["No evaluation data"]),
    (ROWS, ROWS + 1, ROWS[:2], []),
    (ROWS, None, None, []),
    (ROWS, ROWS.copy(), ROWS[:2], ["training data"]),
    (ROWS, None, ROWS.copy(), ["calibration data"]),
    (ROWS, ROWS, ROWS, ["training data", "calibration data"]),
])
def test_notes_say_what_the_accuracy_is_worth(evaluation, train, calibration, words):
    """Whole arrays are compared."""
    notes = evaluation_notes(evaluation, train, calibration)
    assert len(notes) == len(words)
    for note, word in zip(notes, words, strict=True):
        assert word in note
