"""Parquet files give back the very bytes that were kept, or say that they cannot."""

import hashlib
from array import array

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.wire.recording import pack_recording
from lab.errors import ProtocolMismatch, StoreError
from lab.store.traces import holds_recording, read_recording, recording_bytes, trace_path, write_recording
from tests.support import samples

int64 = st.integers(-2**63, 2**63 - 1)
named_arrays = st.dictionaries(st.text(max_size=10), st.lists(int64, max_size=50).map(lambda v: array("q", v)),
                               max_size=5)
finite = st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(st.none() | st.booleans() | st.integers() | finite | st.text(),
                           lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10)
headers = st.dictionaries(st.text().filter(lambda key: key != "arrays"), json_values, max_size=5)


def sha256_of(data):
    return hashlib.sha256(data).hexdigest()


@given(headers, named_arrays)
def test_any_recording_survives_byte_for_byte(tmp_path_factory, header, arrays):
    data = pack_recording(header, arrays)
    path = tmp_path_factory.mktemp("traces") / "a.parquet"
    write_recording(path, data)
    assert recording_bytes(path) == data
    assert read_recording(path) == (header, arrays)


def test_a_header_written_in_another_style_survives_too(tmp_path):
    text = b'{ "b": 1e0, "a": [] , "arrays": [{"count":1,"name":"x"}] }'
    data = b"JLR1" + len(text).to_bytes(4, "little") + text + (7).to_bytes(8, "little")
    write_recording(tmp_path / "a.parquet", data)
    assert recording_bytes(tmp_path / "a.parquet") == data


def test_other_tools_can_read_the_values(tmp_path):
    write_recording(tmp_path / "a.parquet", samples.recording())
    table = pq.read_table(tmp_path / "a.parquet").to_pydict()
    latency = [value for name, value in zip(table["array"], table["value"], strict=True) if name == "latency_ns"]
    assert latency == samples.arrays()["latency_ns"].tolist()


def test_values_are_compressed(tmp_path):
    data = samples.recording()
    write_recording(tmp_path / "a.parquet", data)
    column = pq.ParquetFile(tmp_path / "a.parquet").metadata.row_group(0).column(1)
    assert (column.compression, "DELTA_BINARY_PACKED" in column.encodings) == ("ZSTD", True)


def test_nothing_else_is_left_in_the_folder(tmp_path):
    write_recording(tmp_path / "a.parquet", samples.recording())
    assert [path.name for path in tmp_path.iterdir()] == ["a.parquet"]


@pytest.mark.parametrize("data", [b"", b"JLR1", b"not a recording", samples.recording()[:-8]])
def test_bytes_that_are_no_recording_are_refused(tmp_path, data):
    with pytest.raises(ProtocolMismatch):
        write_recording(tmp_path / "a.parquet", data)
    assert list(tmp_path.iterdir()) == []


def test_two_arrays_of_one_name_are_refused(tmp_path):
    text = b'{"arrays":[{"name":"x","count":1},{"name":"x","count":1}]}'
    with pytest.raises(ProtocolMismatch, match="one name"):
        write_recording(tmp_path / "a.parquet", b"JLR1" + len(text).to_bytes(4, "little") + text + bytes(16))


def test_an_absent_file_is_a_store_error(tmp_path):
    with pytest.raises(StoreError, match="cannot read"):
        read_recording(tmp_path / "a.parquet")


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + bytes(100) + b"PAR1"])
def test_a_file_that_is_no_parquet_is_a_store_error(tmp_path, content):
    (tmp_path / "a.parquet").write_bytes(content)
    with pytest.raises(StoreError):
        read_recording(tmp_path / "a.parquet")


def test_a_foreign_parquet_file_is_a_store_error(tmp_path):
    import pyarrow as pa

    pq.write_table(pa.table({"value": [1, 2]}), tmp_path / "a.parquet")
    with pytest.raises(StoreError, match="damaged"):
        read_recording(tmp_path / "a.parquet")
    pq.write_table(pa.table({"other": [1, 2]}), tmp_path / "b.parquet")
    with pytest.raises(StoreError):
        read_recording(tmp_path / "b.parquet")


def test_flipping_any_byte_never_gives_other_numbers(tmp_path):
    data = samples.recording()
    path = tmp_path / "a.parquet"
    write_recording(path, data)
    whole = path.read_bytes()
    noticed = 0
    for at in range(0, len(whole), 37):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1:])
        try:
            assert recording_bytes(path) == data
        except StoreError:
            noticed += 1
    assert noticed > 20


def test_holds_recording_knows_absent_damaged_and_other(tmp_path):
    data = samples.recording()
    path = trace_path(tmp_path, sha256_of(data))
    assert not holds_recording(path, sha256_of(data))
    write_recording(path, data)
    assert holds_recording(path, sha256_of(data))
    assert not holds_recording(path, sha256_of(b"other"))
    path.write_bytes(path.read_bytes()[:100])
    assert not holds_recording(path, sha256_of(data))
