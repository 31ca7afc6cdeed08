"""A recording round-trips bit for bit; damaged or hostile bytes are refused before memory is taken for them."""

import json
import struct
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.wire.recording import (
    MAGIC,
    MAX_ARRAYS,
    MAX_HEADER_BYTES,
    MAX_VALUES,
    RecordingError,
    pack_recording,
    unpack_recording,
)

HEADERS = st.dictionaries(st.text(max_size=8).filter(lambda key: key != "arrays"),
                          st.none() | st.integers(-2**62, 2**62) | st.text(max_size=10), max_size=5)
ARRAYS = st.dictionaries(st.text(max_size=10),
                         st.lists(st.integers(-2**63, 2**63 - 1), max_size=20).map(lambda v: array("q", v)), max_size=5)


def raw(header, body=b""):
    text = json.dumps(header).encode()
    return MAGIC + struct.pack("<I", len(text)) + text + body


@given(HEADERS, ARRAYS)
def test_header_and_arrays_come_back_as_they_were(header, arrays):
    assert unpack_recording(pack_recording(header, arrays)) == (header, arrays)


def test_values_are_little_endian_on_every_machine():
    assert pack_recording({}, {"a": array("q", [1])}).endswith(b"\x01" + bytes(7))


@given(HEADERS, ARRAYS, st.integers(0, 10_000))
def test_a_cut_off_recording_is_refused(header, arrays, point):
    data = pack_recording(header, arrays)
    with pytest.raises(RecordingError):
        unpack_recording(data[:point % len(data)])


@given(HEADERS, ARRAYS, st.integers(0, 10_000), st.integers(1, 255))
def test_a_damaged_byte_is_refused_or_changes_only_values(header, arrays, position, change):
    data = bytearray(pack_recording(header, arrays))
    data[position % len(data)] ^= change
    try:
        _, found = unpack_recording(bytes(data))
    except RecordingError:
        return
    assert sum(map(len, found.values())) <= sum(map(len, arrays.values()))


@given(st.binary(max_size=300))
def test_random_bytes_are_refused(data):
    with pytest.raises(RecordingError):
        unpack_recording(data)


@pytest.mark.parametrize("listing", [
    [{"name": "a", "count": -1}], [{"name": "a", "count": MAX_VALUES + 1}], [{"name": "a", "count": 2**62}],
    [{"name": "a"}], [{"count": 1}], "text", 5, None, {}, [None], [{"name": "a", "count": "many"}],
    [{"name": "a", "count": 2}], [{"name": str(n), "count": 0} for n in range(MAX_ARRAYS + 1)],
])
def test_a_hostile_array_listing_is_refused(listing):
    with pytest.raises(RecordingError):
        unpack_recording(raw({"arrays": listing}, bytes(8)))


@pytest.mark.parametrize("size", [MAX_HEADER_BYTES + 1, 2**32 - 1, 100])
def test_an_announced_header_that_does_not_fit_is_refused(size):
    with pytest.raises(RecordingError, match="does not fit"):
        unpack_recording(MAGIC + struct.pack("<I", size) + b"{}")


def test_deep_nesting_is_refused():
    text = b"[" * 100_000
    with pytest.raises(RecordingError):
        unpack_recording(MAGIC + struct.pack("<I", len(text)) + text)


def test_only_64_bit_integers_can_be_packed():
    with pytest.raises(RecordingError, match="expected 'q'"):
        pack_recording({}, {"a": array("d", [1.0])})


def test_trailing_bytes_are_refused():
    with pytest.raises(RecordingError, match="add up"):
        unpack_recording(pack_recording({}, {"a": array("q", [1])}) + b"x")
