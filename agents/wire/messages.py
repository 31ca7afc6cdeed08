"""Messages: a type, the conversation they belong to, a small JSON header and raw bytes.

A payload is `u16 length | JSON | bytes`. Requests (REQ) carry `{"op": NAME, …}` and are answered on the same
`id` by exactly one RES or ERR, after any number of DATA. JSON is capped in size and depth before use: the other
end is not trusted.
"""

from __future__ import annotations

import json
import struct
from enum import IntEnum
from typing import Any, Dict, NamedTuple

from .frames import Frame, FrameError, encode_frame

MAX_HEADER_BYTES = 64 * 1024 - 1
MAX_DEPTH = 16
DATA_BODY_BYTES = 32_000
"""Body of one DATA message, so that with its header the frame still fits one SSH packet."""

_LENGTH = struct.Struct("<H")

Header = Dict[str, Any]


class MessageType(IntEnum):
    """What a frame means; numbers never change."""

    HELLO = 1
    REQ = 2
    RES = 3
    ERR = 4
    EVT = 5
    DATA = 6
    CREDIT = 7
    CANCEL = 8
    PING = 9
    PONG = 10
    BYE = 11


class Message(NamedTuple):
    """One message; `id` joins an answer to its request, 0 for those that answer nothing."""

    type: MessageType
    id: int
    header: Header
    body: bytes = b""


def encode_message(message: Message) -> bytes:
    """One whole frame, to be written with a single send."""
    head = json.dumps(message.header, separators=(",", ":"), allow_nan=False).encode()
    if len(head) > MAX_HEADER_BYTES:
        raise FrameError(f"message header of {len(head)} bytes exceeds {MAX_HEADER_BYTES}")
    return encode_frame(int(message.type), message.id, _LENGTH.pack(len(head)) + head + message.body)


def decode_message(frame: Frame) -> Message:
    """A message from a frame; raises FrameError on anything malformed."""
    try:
        kind = MessageType(frame.type)
    except ValueError:
        raise FrameError(f"unknown message type {frame.type}") from None
    if len(frame.payload) < _LENGTH.size:
        raise FrameError("message shorter than its length field")
    (size,) = _LENGTH.unpack_from(frame.payload)
    end = _LENGTH.size + size
    if end > len(frame.payload):
        raise FrameError("message header is cut off")
    return Message(kind, frame.stream, parse_header(frame.payload[_LENGTH.size:end]), frame.payload[end:])


def parse_header(text: bytes) -> Header:
    """A JSON object with bounded depth and no NaN; raises FrameError otherwise."""
    depth = deepest = 0
    for byte in text:  # brackets inside strings count too: a bound, not a parser
        if byte in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"]}":
            depth -= 1
    if deepest > MAX_DEPTH * 64:
        raise FrameError("message header is nested too deeply")
    try:
        header = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise FrameError(f"message header is not JSON: {error}") from None
    if not isinstance(header, dict):
        raise FrameError("message header is not a JSON object")
    return header


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not allowed")
