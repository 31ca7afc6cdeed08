"""One window as a file: a JSON header, then named arrays of 64-bit integers, little endian.

`JLR1` | u32 header length | JSON header | arrays one after the other. The header's `arrays` lists name and count
of each in order; all the rest of the header is the window's own (see docs/wire.md). The file's SHA-256 is the
window's identity from the device's spool to the lab's database.
"""

from __future__ import annotations

import json
import struct
import sys
from array import array
from typing import Any, Dict, Mapping, Tuple

MAGIC = b"JLR1"
MAX_HEADER_BYTES = 4 * 1024 * 1024
MAX_ARRAYS = 1024
MAX_VALUES = 200_000_000
_LENGTH = struct.Struct("<I")

Arrays = Dict[str, "array[int]"]


class RecordingError(ValueError):
    """Bytes that are not a recording."""


def pack_recording(header: Mapping[str, Any], arrays: Mapping[str, "array[int]"]) -> bytes:
    """Bytes of a recording; arrays have typecode `q`."""
    listing = [{"name": name, "count": len(values)} for name, values in arrays.items()]
    text = json.dumps({**header, "arrays": listing}, separators=(",", ":"), allow_nan=False).encode()
    parts = [MAGIC, _LENGTH.pack(len(text)), text]
    for name, values in arrays.items():
        if values.typecode != "q":
            raise RecordingError(f"array {name!r} holds {values.typecode!r}, expected 'q'")
        parts.append(_little_endian(values).tobytes())
    return b"".join(parts)


def unpack_recording(data: bytes) -> Tuple[Dict[str, Any], Arrays]:
    """Header (without `arrays`) and arrays; raises RecordingError on anything inconsistent."""
    start = len(MAGIC) + _LENGTH.size
    if len(data) < start or data[:len(MAGIC)] != MAGIC:
        raise RecordingError("not a recording: wrong first bytes")
    (size,) = _LENGTH.unpack_from(data, len(MAGIC))
    if size > MAX_HEADER_BYTES or start + size > len(data):
        raise RecordingError(f"header of {size} bytes does not fit")
    try:
        header = json.loads(data[start:start + size])
        listing = [(str(item["name"]), int(item["count"])) for item in header.pop("arrays")]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise RecordingError(f"header is not usable: {error!r}") from None
    if len(listing) > MAX_ARRAYS or any(not 0 <= count <= MAX_VALUES for _, count in listing):
        raise RecordingError("array listing is out of bounds")
    if start + size + 8 * sum(count for _, count in listing) != len(data):
        raise RecordingError("array sizes do not add up to the file's size")
    arrays: Arrays = {}
    at = start + size
    for name, count in listing:
        values = array("q")
        values.frombytes(data[at:at + 8 * count])
        arrays[name] = _little_endian(values)
        at += 8 * count
    return header, arrays


def _little_endian(values: "array[int]") -> "array[int]":
    if sys.byteorder == "little":
        return values
    swapped = array("q", values)
    swapped.byteswap()
    return swapped
