from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compressors.base import StepError
from compressors.quantize.calibration import calibration_sample, data_reader, equal_batches
from lab.workloads.base import WorkloadData
from tests.support.tiny_workload import step_context, tiny_workload


def context_with(inputs, seed=0):
    data = WorkloadData(train_inputs=inputs[:0], train_targets=np.zeros(0, np.int64), calibration_inputs=inputs)
    return replace(step_context(tiny_workload("mlp"), seed=seed), data=data)


def test_all_inputs_are_taken_in_order_where_they_are_few():
    inputs = np.arange(5, dtype=np.float32)[:, None]
    assert np.array_equal(calibration_sample(context_with(inputs), 5), inputs)
    assert np.array_equal(calibration_sample(context_with(inputs), 99), inputs)


def test_a_sample_is_seeded_and_holds_each_input_at_most_once():
    inputs = np.arange(100, dtype=np.float32)[:, None]
    first, again, other = (calibration_sample(context_with(inputs, seed), 10) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert len(np.unique(first)) == 10


def test_missing_or_broken_inputs_are_told():
    with pytest.raises(StepError, match="needs calibration inputs"):
        calibration_sample(replace(context_with(np.zeros((1, 1))), data=None), 5)
    with pytest.raises(StepError, match="needs calibration inputs"):
        calibration_sample(context_with(np.zeros((0, 4), np.float32)), 5)
    with pytest.raises(StepError, match="calibration inputs hold NaN or infinity"):
        calibration_sample(context_with(np.array([[1.0], [np.nan]], np.float32)), 5)


@given(st.integers(1, 400))
def test_a_free_batch_axis_gets_equal_batches_of_everything(rows):
    batches = equal_batches(np.arange(rows)[:, None], None)
    assert len({len(batch) for batch in batches}) == 1
    assert len(batches[0]) <= 32
    assert np.array_equal(np.concatenate(batches)[:, 0], np.arange(rows))


@given(st.integers(1, 100), st.integers(1, 20))
def test_a_fixed_batch_axis_gets_batches_of_that_size(rows, size):
    if rows < size:
        with pytest.raises(StepError, match=f"takes batches of {size}, the workload has only {rows}"):
            equal_batches(np.arange(rows)[:, None], size)
        return
    batches = equal_batches(np.arange(rows)[:, None], size)
    assert {len(batch) for batch in batches} == {size}
    assert len(batches) == rows // size


def test_a_reader_hands_out_each_batch_once():
    batches = [np.zeros((2, 1)), np.ones((2, 1))]
    reader = data_reader("x", batches)
    assert reader.get_next() == {"x": batches[0]}
    assert reader.get_next()["x"] is batches[1]
    assert reader.get_next() is None
    assert reader.get_next() is None
