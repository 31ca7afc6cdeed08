"""Inputs have the declared type and shape; a sample that does not fit is refused by name."""

import pickle
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.runtimes.base import RuntimeRefused, RuntimeSettings
from agents.runtimes.onnx_inputs import sample_inputs

Declared = namedtuple("Declared", "name shape type")
X = Declared("x", ["N", 3], "tensor(float)")
TYPES = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(double)": "float64",
         "tensor(int64)": "int64", "tensor(uint8)": "uint8", "tensor(bool)": "bool"}


def inputs_for(declared, batch=1, path=None):
    return sample_inputs(declared, RuntimeSettings(1, batch, path))


def save(tmp_path, **arrays):
    np.savez(tmp_path / "inputs.npz", **arrays)
    return tmp_path / "inputs.npz"


@given(st.sampled_from(sorted(TYPES)), st.lists(st.sampled_from(["N", None, 2, 5]), max_size=4), st.integers(1, 4))
def test_random_inputs_have_the_declared_type_and_shape(kind, shape, batch):
    arrays, adapted = inputs_for([Declared("x", shape, kind)], batch)
    expected = [size if isinstance(size, int) else (batch if axis == 0 else 1) for axis, size in enumerate(shape)]
    assert list(arrays["x"].shape) == expected
    assert arrays["x"].dtype == TYPES[kind]
    if TYPES[kind] in ("int64", "uint8"):
        assert set(arrays["x"].ravel()) <= {0, 1}
    assert bool(adapted) == (batch != (expected[0] if expected else 1))


def test_a_sample_is_used_as_it_is(tmp_path):
    x = np.arange(3, dtype=np.float32)[None]
    arrays, adapted = inputs_for([X], path=save(tmp_path, x=x))
    np.testing.assert_array_equal(arrays["x"], x)
    assert adapted == []


def test_one_array_serves_one_input_whatever_it_is_called(tmp_path):
    arrays, _ = inputs_for([X], path=save(tmp_path, sample=np.zeros((1, 3), dtype=np.float32)))
    assert list(arrays) == ["x"]


@pytest.mark.parametrize(("rows", "batch", "expected"), [(1, 3, [0, 0, 0]), (2, 3, [0, 1, 0]), (3, 2, [0, 1])])
def test_rows_repeat_in_turn_up_to_the_batch(tmp_path, rows, batch, expected):
    x = np.repeat(np.arange(rows, dtype=np.float32)[:, None], 3, axis=1)
    arrays, adapted = inputs_for([X], batch, save(tmp_path, x=x))
    assert list(arrays["x"][:, 0]) == expected
    assert arrays["x"].flags["C_CONTIGUOUS"]
    assert adapted == []


def test_a_model_with_a_fixed_batch_gets_that_batch(tmp_path):
    fixed = Declared("x", [2, 3], "tensor(float)")
    arrays, (sentence,) = inputs_for([fixed], 1, save(tmp_path, x=np.ones((1, 3), dtype=np.float32)))
    assert arrays["x"].shape == (2, 3)
    assert "batch 1 was asked for, the model takes 2" in sentence


def refused(tmp_path, declared, **arrays):
    with pytest.raises(RuntimeRefused) as caught:
        inputs_for(declared, path=save(tmp_path, **arrays))
    return caught.value.code, str(caught.value)


def test_a_missing_array_is_named_with_those_there_are(tmp_path):
    code, text = refused(tmp_path, [X, X._replace(name="mask")], x=np.zeros((1, 3), dtype=np.float32))
    assert code == "error"
    assert "'mask'" in text
    assert "holds x" in text


@pytest.mark.parametrize(("array", "text"), [
    (np.zeros((1, 3)), "expected float32, the sample holds float64"),
    (np.zeros((1, 4), dtype=np.float32), "declares shape"), (np.zeros(3, dtype=np.float32), "declares shape"),
])
def test_a_sample_of_another_type_or_shape_is_refused(tmp_path, array, text):
    assert text in refused(tmp_path, [X], x=array)[1]


def test_an_input_that_is_no_plain_tensor_is_refused():
    with pytest.raises(RuntimeRefused, match=r"seq\(tensor\(string\)\)"):
        inputs_for([Declared("x", [], "seq(tensor(string))")])


class Trap:
    """Unpickling it would write a file."""

    def __init__(self, path):
        self._path = path

    def __reduce__(self):
        return (Path.touch, (self._path,))


def test_pickled_objects_in_a_sample_are_never_loaded(tmp_path):
    trap = tmp_path / "sprung"
    array = np.empty(1, dtype=object)
    array[0] = Trap(trap)
    assert refused(tmp_path, [X], x=array)[0] == "corrupt"
    (tmp_path / "bare").write_bytes(pickle.dumps(Trap(trap)))
    with pytest.raises(RuntimeRefused):
        inputs_for([X], path=tmp_path / "bare")
    assert not trap.exists()


@pytest.mark.parametrize("content", [b"", b"garbage", b"PK\x03\x04" + bytes(50)])
def test_a_file_that_is_no_npz_is_refused(tmp_path, content):
    (tmp_path / "inputs").write_bytes(content)
    with pytest.raises(RuntimeRefused) as caught:
        inputs_for([X], path=tmp_path / "inputs")
    assert caught.value.code == "corrupt"


def test_a_single_npy_is_refused_too(tmp_path):
    np.save(tmp_path / "one.npy", np.zeros((1, 3), dtype=np.float32))
    with pytest.raises(RuntimeRefused):
        inputs_for([X], path=tmp_path / "one.npy")
