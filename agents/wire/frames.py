"""Frames on a clean byte stream: cut it into (type, flags, stream, payload) and put it back together.

Layout, little endian: magic `JL` u16, type u8, flags u8, stream u32, length u32, payload. A wrong magic or an
oversized length on a clean stream is fatal: there is nothing to resynchronise on.
"""

from __future__ import annotations

import struct
from typing import Iterator, List, NamedTuple

MAGIC = b"JL"
HEADER = struct.Struct("<2sBBII")
MAX_PAYLOAD_BYTES = 256 * 1024
"""Cap on one payload, checked before any of it is stored."""

MAX_FRAME_SSH_BYTES = 32704
"""Largest frame that fits one SSH packet (max_packet 32768 less 64 bytes of padding and MAC)."""


class FrameError(Exception):
    """The stream does not hold frames (any more)."""


class Frame(NamedTuple):
    """One frame as received."""

    type: int
    flags: int
    stream: int
    payload: bytes


def encode_frame(kind: int, stream: int, payload: bytes, flags: int = 0) -> bytes:
    """Bytes of one frame; raises FrameError if the payload is too large."""
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise FrameError(f"payload of {len(payload)} bytes exceeds {MAX_PAYLOAD_BYTES}")
    return HEADER.pack(MAGIC, kind, flags, stream, len(payload)) + payload


class FrameReader:
    """Collects bytes in any portions and yields whole frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> List[Frame]:
        """Frames completed by these bytes; raises FrameError on garbage."""
        self._buffer += data
        return list(self._frames())

    def _frames(self) -> Iterator[Frame]:
        start = 0
        view_size = len(self._buffer)
        while view_size - start >= HEADER.size:
            magic, kind, flags, stream, length = HEADER.unpack_from(self._buffer, start)
            if magic != MAGIC:
                raise FrameError(f"expected a frame, got bytes {bytes(self._buffer[start:start + 16])!r}")
            if length > MAX_PAYLOAD_BYTES:
                raise FrameError(f"frame of {length} bytes announced, at most {MAX_PAYLOAD_BYTES} allowed")
            end = start + HEADER.size + length
            if end > view_size:
                break
            yield Frame(kind, flags, stream, bytes(self._buffer[start + HEADER.size:end]))
            start = end
        del self._buffer[:start]


class PreambleSkipper:
    """Drops everything before a token: login banners and shell noise precede the agent's first byte."""

    def __init__(self, token: bytes, limit_bytes: int = 64 * 1024) -> None:
        self._token = token
        self._limit = limit_bytes
        self._seen = bytearray()
        self.found = False

    @property
    def noise(self) -> bytes:
        """What came before the token so far, for the error text."""
        return bytes(self._seen)

    def feed(self, data: bytes) -> bytes:
        """Bytes after the token (empty until it is found); raises FrameError past the limit."""
        if self.found:
            return data
        self._seen += data
        at = self._seen.find(self._token)
        if at >= 0:
            self.found = True
            rest = bytes(self._seen[at + len(self._token):])
            del self._seen[at:]
            return rest
        if len(self._seen) > self._limit:
            raise FrameError(f"no agent within {self._limit} bytes; last were {bytes(self._seen[-200:])!r}")
        return b""
