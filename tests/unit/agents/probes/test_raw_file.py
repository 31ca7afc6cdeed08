"""One integer from one file: what is read, what is refused, and what happens when the file changes below."""

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.probes.raw_file import RawFile

INT64 = st.integers(min_value=-(2**63), max_value=2**63 - 1)


def open_descriptors():
    return {path.name for path in Path("/proc/self/fd").iterdir()}


def ticking():
    ticks = iter(range(10, 1_000_000, 10))
    return lambda: next(ticks)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "value"
    path.write_text("42\n")
    return path


def test_reads_the_number_between_two_looks_at_the_clock(path):
    reading = RawFile(path, ticking()).read()
    assert reading == (10, 20, 42, 0)


def test_sees_what_is_written_in_place(path):
    file = RawFile(path, ticking())
    file.read()
    path.write_text("-7\n")
    assert file.read().raw == -7


@given(value=INT64)
def test_any_number_of_64_bits_comes_back(tmp_path_factory, value):
    path = tmp_path_factory.getbasetemp() / "any"
    path.write_text(f"{value}\n")
    file = RawFile(path, ticking())
    assert file.read().raw == value
    file.close()


@pytest.mark.parametrize("text", ["  2700000\n", "2700000", "+2700000\n", "2700000   \n"])
def test_padding_does_not_matter(path, text):
    path.write_text(text)
    assert RawFile(path, ticking()).read().raw == 2700000


@pytest.mark.parametrize(("text", "code"), [
    ("", errno.ENODATA),
    ("\n", errno.ENODATA),
    ("<unknown>\n", errno.EBADMSG),
    ("1.5\n", errno.EBADMSG),
    ("12 13\n", errno.EBADMSG),
    (f"{2**63}\n", errno.EOVERFLOW),
    (f"{-(2**63) - 1}\n", errno.EOVERFLOW),
])
def test_anything_else_is_missing_and_says_why(path, text, code):
    path.write_text(text)
    reading = RawFile(path, ticking()).read()
    assert (reading.raw, reading.errno) == (None, code)
    assert reading.t_before_ns < reading.t_after_ns


def test_an_error_of_the_kernel_is_passed_on():
    reading = RawFile("/proc/self/mem", ticking()).read()
    assert (reading.raw, reading.errno) == (None, errno.EIO)


def test_a_folder_in_the_place_of_the_file_is_an_error_not_a_number(tmp_path):
    reading = RawFile(tmp_path, ticking()).read()
    assert (reading.raw, reading.errno) == (None, errno.EISDIR)


def test_reads_after_an_error_go_on(path):
    file = RawFile(path, ticking())
    path.write_text("busy\n")
    assert file.read().raw is None
    path.write_text("43\n")
    assert file.read().raw == 43


def test_a_file_that_cannot_seek_is_opened_anew_each_time():
    reader, writer = os.pipe()
    try:
        file = RawFile(f"/proc/self/fd/{reader}", ticking())
        for value in (b"17\n", b"18\n"):
            os.write(writer, value)
            assert file.read().raw == int(value)
        file.close()
    finally:
        os.close(reader)
        os.close(writer)


def test_opening_what_is_not_there_raises(tmp_path):
    with pytest.raises(FileNotFoundError):
        RawFile(tmp_path / "missing", ticking())


def test_close_gives_the_descriptor_back_and_may_be_repeated(path):
    before = open_descriptors()
    file = RawFile(path, ticking())
    assert open_descriptors() != before
    file.close()
    file.close()
    assert open_descriptors() == before


def test_a_forgotten_file_gives_its_descriptor_back(path):
    before = open_descriptors()
    RawFile(path, ticking()).read()
    assert open_descriptors() == before


def test_the_descriptor_is_not_inherited_by_a_worker(path):
    file = RawFile(path, ticking())
    assert not os.get_inheritable(file._fd)
