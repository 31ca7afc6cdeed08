"""Recordings as Parquet files, without loss: the very bytes a device sent can be made again from one.

A file has one row per value, in the recording's order: `array` (which of its arrays) and `value`. The recording's
header is kept as it came, as text in the file's metadata, together with the SHA-256 of the whole recording.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from agents.wire.recording import MAGIC, Arrays, RecordingError, unpack_recording
from lab.errors import ProtocolMismatch, StoreError

from .durable import disk_error, write_durably

if TYPE_CHECKING:
    import pyarrow as pa

HEADER_KEY = b"joulelab.header"
SHA256_KEY = b"joulelab.sha256"
_LENGTH = struct.Struct("<I")


def trace_path(root: Path, sha256: str) -> Path:
    """Where the recording of that SHA-256 lies under `root`."""
    return root / sha256[:2] / f"{sha256}.parquet"


def write_recording(path: Path, data: bytes) -> None:
    """Keep a recording's bytes as a Parquet file; it appears at `path` whole, once it is on disk.

    Raises ProtocolMismatch if the bytes are no recording, StoreError if the disk refuses.
    """
    header_text, arrays = _split(data)
    notes = {HEADER_KEY: header_text, SHA256_KEY: hashlib.sha256(data).hexdigest().encode()}
    table = _table(arrays)
    try:
        write_durably(path, lambda stream: _write_parquet(table, notes, stream))
    except OSError as error:
        raise disk_error(f"cannot write the recording {path}: {error}", error) from error


def read_recording(path: Path) -> tuple[dict[str, Any], Arrays]:
    """Header and arrays of a kept recording; raises StoreError if the file is absent or damaged."""
    return unpack_recording(recording_bytes(path))


def recording_bytes(path: Path) -> bytes:
    """The recording exactly as the device sent it; raises StoreError unless its SHA-256 is the one kept with it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        # From memory: a Python stream would be called back from Arrow's own threads, which may outlive the interpreter.
        whole = pa.BufferReader(path.read_bytes())
        with pq.ParquetFile(whole, pre_buffer=False, page_checksum_verification=True) as file:
            metadata = dict(file.metadata.metadata or {})
            values = file.read(columns=["value"], use_threads=False).column("value")
    except (OSError, pa.ArrowException, KeyError, ValueError) as error:
        raise StoreError(f"cannot read the recording {path}: {error}; restore it from a backup") from error
    header = metadata.get(HEADER_KEY, b"")
    body = values.combine_chunks().to_numpy(zero_copy_only=False).astype("<i8", copy=False).tobytes()
    data = b"".join((MAGIC, _LENGTH.pack(len(header)), header, body))
    if hashlib.sha256(data).hexdigest().encode() != metadata.get(SHA256_KEY):
        raise StoreError(f"the recording {path} is damaged: its content no longer has the SHA-256 kept with it; "
                         "restore it from a backup")
    return data


def holds_recording(path: Path, sha256: str) -> bool:
    """Whether a whole, undamaged recording of this SHA-256 lies there."""
    if not path.is_file():
        return False
    try:
        return hashlib.sha256(recording_bytes(path)).hexdigest() == sha256
    except StoreError:
        return False


def _split(data: bytes) -> tuple[bytes, Arrays]:
    try:
        _, arrays = unpack_recording(data)
    except RecordingError as error:
        raise ProtocolMismatch(f"the device sent {len(data)} bytes that are no recording: {error}") from None
    start = len(MAGIC) + _LENGTH.size
    (size,) = _LENGTH.unpack_from(data, len(MAGIC))
    if start + size + 8 * sum(map(len, arrays.values())) != len(data):
        raise ProtocolMismatch("the device sent a recording with two arrays of one name")
    return data[start:start + size], arrays


def _table(arrays: Arrays) -> pa.Table:
    import pyarrow as pa

    counts = [len(values) for values in arrays.values()]
    index = pa.array(np.repeat(np.arange(len(counts), dtype=np.int32), counts))
    names = pa.DictionaryArray.from_arrays(index, pa.array(list(arrays), type=pa.string()))
    values = np.concatenate([np.zeros(0, np.int64), *(np.asarray(each, np.int64) for each in arrays.values())])
    return pa.table({"array": names, "value": pa.array(values)})


def _write_parquet(table: pa.Table, notes: Mapping[bytes, bytes], stream: BinaryIO) -> None:
    import pyarrow.parquet as pq

    with pq.ParquetWriter(stream, table.schema, compression="zstd", use_dictionary=["array"], store_schema=False,
                          write_page_checksum=True, column_encoding={"value": "DELTA_BINARY_PACKED"}) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata(notes)
