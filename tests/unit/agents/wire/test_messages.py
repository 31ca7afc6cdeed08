"""Messages round-trip, and whatever a hostile end sends is either a message or a FrameError."""

import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.wire.frames import HEADER, MAX_FRAME_SSH_BYTES, MAX_PAYLOAD_BYTES, Frame, FrameError, FrameReader
from agents.wire.messages import (
    DATA_BODY_BYTES,
    MAX_HEADER_BYTES,
    Message,
    MessageType,
    decode_message,
    encode_message,
    parse_header,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2**62, 2**62) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4), max_leaves=12)
HEADERS = st.dictionaries(st.text(max_size=10), JSON, max_size=5)


@given(st.sampled_from(list(MessageType)), st.integers(0, 2**32 - 1), HEADERS, st.binary(max_size=100))
def test_a_message_comes_back_as_it_was_sent(kind, number, header, body):
    message = Message(kind, number, header, body)
    (frame,) = FrameReader().feed(encode_message(message))
    assert decode_message(frame) == message


@given(st.integers(0, 255), st.binary(max_size=300))
def test_any_payload_is_a_message_or_a_frame_error(kind, payload):
    try:
        message = decode_message(Frame(kind, 0, 1, payload))
    except FrameError:
        return
    assert isinstance(message.header, dict)
    assert payload.endswith(message.body)


@given(HEADERS, st.integers(0, 10_000), st.integers(1, 255))
def test_a_damaged_byte_never_raises_anything_but_a_frame_error(header, position, change):
    (frame,) = FrameReader().feed(encode_message(Message(MessageType.RES, 1, header)))
    payload = bytearray(frame.payload)
    payload[position % len(payload)] ^= change
    try:
        decoded = decode_message(frame._replace(payload=bytes(payload)))
    except FrameError:
        return
    assert decoded.type is MessageType.RES


@pytest.mark.parametrize("payload", [b"", b"\x01", struct.pack("<H", 10) + b"{}"])
def test_a_payload_shorter_than_its_header_is_refused(payload):
    with pytest.raises(FrameError, match=r"shorter|cut off"):
        decode_message(Frame(1, 0, 0, payload))


def test_an_unknown_type_is_refused_by_number():
    with pytest.raises(FrameError, match="unknown message type 99"):
        decode_message(Frame(99, 0, 0, b"\x02\x00{}"))


@pytest.mark.parametrize("text", [b"[]", b"1", b"null", b'"x"', b"{", b"", b"\xff\xfe", b'{"a": NaN}',
                                  b'{"a": Infinity}', b'{"a": -Infinity}', b'{"a": ' + b"9" * 6000 + b"}x"])
def test_only_a_json_object_without_special_numbers_is_a_header(text):
    with pytest.raises(FrameError):
        parse_header(text)


@pytest.mark.parametrize("depth", [1025, 30_000])
@pytest.mark.parametrize("bracket", [b"[", b'{"a":'])
def test_deep_nesting_is_refused_without_recursion(depth, bracket):
    with pytest.raises(FrameError, match="nested too deeply"):
        parse_header(b'{"a":' + bracket * depth)


def test_nesting_within_the_bound_is_accepted():
    text = b'{"a":' * 16 + b"1" + b"}" * 16
    assert parse_header(text) == json.loads(text)


def test_a_header_beyond_the_cap_cannot_be_sent():
    with pytest.raises(FrameError, match="exceeds"):
        encode_message(Message(MessageType.RES, 1, {"text": "x" * MAX_HEADER_BYTES}))


def test_a_number_that_is_not_one_cannot_be_sent():
    with pytest.raises(ValueError, match="not JSON compliant"):
        encode_message(Message(MessageType.RES, 1, {"value": float("nan")}))


def test_a_full_data_message_fits_one_ssh_packet():
    header = {"sha256": "f" * 64, "offset": 2**62}
    frame = encode_message(Message(MessageType.DATA, 2**32 - 1, header, bytes(DATA_BODY_BYTES)))
    assert len(frame) <= MAX_FRAME_SSH_BYTES
    assert len(frame) - HEADER.size <= MAX_PAYLOAD_BYTES
