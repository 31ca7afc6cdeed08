import logging
import threading
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.compression.cache import ENTRY, STATE, STRUCTURE, Entry, StepCache, cache_key, library_versions
from lab.errors import CompressionError

KEY = "ab" + 62 * "0"
ENTRY_A = Entry(artifact_sha256=64 * "1", size_bytes=10, opset=18, ir_version=10, parameters=5, macs=None,
                accuracy_ratio=0.75, duration_ns=123, notes=("a", "b"))
STRUCTURE_A = {"format": 1, "layers": {"conv": {"kind": "resized"}}}


def save(path):
    path.write_bytes(b"weights")


def test_an_entry_comes_back_as_it_was(tmp_path):
    cache = StepCache(tmp_path)
    assert cache.read(KEY) is None
    assert cache.write(KEY, ENTRY_A) == ENTRY_A
    assert cache.read(KEY) == ENTRY_A
    assert [path.name for path in (tmp_path / "ab").iterdir()] == [KEY]


def test_a_torch_step_keeps_structure_and_weights_beside_it(tmp_path):
    cache = StepCache(tmp_path)
    written = cache.write(KEY, ENTRY_A, STRUCTURE_A, save)
    assert written.state_sha256 is not None
    assert cache.read(KEY) == written
    assert cache.structure(KEY) == STRUCTURE_A
    assert cache.state_path(KEY).read_bytes() == b"weights"


@pytest.mark.parametrize("damage", [
    lambda place: (place / ENTRY).write_text("{"), lambda place: (place / ENTRY).write_text("[]"),
    lambda place: (place / ENTRY).write_text('{"format": 1}'), lambda place: (place / ENTRY).write_bytes(b"\xff"),
    lambda place: (place / ENTRY).unlink(), lambda place: (place / STATE).write_bytes(b"other"),
    lambda place: (place / STATE).unlink()])
def test_a_damaged_entry_counts_as_absent_and_is_replaced(tmp_path, damage, caplog):
    cache = StepCache(tmp_path)
    written = cache.write(KEY, ENTRY_A, STRUCTURE_A, save)
    damage(tmp_path / "ab" / KEY)
    with caplog.at_level(logging.WARNING):
        assert cache.read(KEY) is None
    assert cache.write(KEY, ENTRY_A, STRUCTURE_A, save) == written
    assert cache.read(KEY) == written


def test_what_is_half_written_does_not_count_and_leaves_nothing(tmp_path):
    def breaks(path):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    cache = StepCache(tmp_path)
    with pytest.raises(CompressionError, match=r"cannot keep the outcome of a step in .*No space left.*LAB_HOME"):
        cache.write(KEY, ENTRY_A, STRUCTURE_A, breaks)
    assert cache.read(KEY) is None
    assert list((tmp_path / "ab").iterdir()) == []


def test_the_entry_written_first_stays(tmp_path):
    cache = StepCache(tmp_path)
    cache.write(KEY, ENTRY_A)
    cache.write(KEY, replace(ENTRY_A, duration_ns=999))
    assert cache.read(KEY) == ENTRY_A


def test_a_forgotten_entry_is_gone_and_may_be_written_anew(tmp_path):
    cache = StepCache(tmp_path)
    cache.forget(KEY)
    cache.write(KEY, ENTRY_A)
    cache.forget(KEY)
    assert cache.read(KEY) is None
    cache.write(KEY, replace(ENTRY_A, duration_ns=999))
    assert cache.read(KEY).duration_ns == 999


def test_writers_at_the_same_time_leave_one_whole_entry(tmp_path):
    failures = []

    def write(number):
        try:
            StepCache(tmp_path).write(KEY, replace(ENTRY_A, duration_ns=number), STRUCTURE_A, save)
        except CompressionError as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert StepCache(tmp_path).read(KEY).duration_ns in range(8)
    assert [path.name for path in (tmp_path / "ab").iterdir()] == [KEY]


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CompressionError, match="cannot keep the outcome"):
        StepCache(tmp_path / "file").write(KEY, ENTRY_A)


def test_a_structure_that_cannot_be_read_is_told(tmp_path):
    cache = StepCache(tmp_path)
    cache.write(KEY, ENTRY_A, STRUCTURE_A, save)
    (tmp_path / "ab" / KEY / STRUCTURE).write_text("{")
    with pytest.raises(CompressionError, match=r"cannot read .*structure.json: .*delete"):
        cache.structure(KEY)


PARTS = st.dictionaries(st.text(max_size=5), st.one_of(st.none(), st.integers(), st.floats(allow_nan=False),
                                                       st.text(max_size=5)), max_size=5)


@given(PARTS)
def test_a_key_does_not_depend_on_the_order_of_its_parts(parts):
    key = cache_key(parts)
    assert key == cache_key(dict(reversed(parts.items())))
    assert len(key) == 64


@given(PARTS, PARTS)
def test_other_parts_give_another_key(one, other):
    equal = {name: repr(value) for name, value in one.items()} == {name: repr(value) for name, value in other.items()}
    assert (cache_key(one) == cache_key(other)) is equal


def test_libraries_are_known_by_version():
    versions = library_versions()
    assert versions["torch"][0].isdigit()
    assert set(versions) >= {"torch", "onnx", "onnxruntime", "torch-pruning", "numpy"}
    assert "absent" not in versions.values()
