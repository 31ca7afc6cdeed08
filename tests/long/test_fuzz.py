"""The two parsers that face a device, fed thousands of damaged inputs: an answer or a named error, nothing else."""

from __future__ import annotations

from array import array
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.wire.frames import FrameError
from agents.wire.link import StreamLink
from agents.wire.messages import Message, MessageType, encode_message
from agents.wire.recording import RecordingError, pack_recording, unpack_recording
from lab.domain.window_codec import window_from_recording
from lab.errors import ProtocolMismatch
from tests.support.samples import arrays, header, power_trace

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]
EXAMPLES = 20_000

GOOD_STREAM = b"".join(encode_message(message) for message in (
    Message(MessageType.HELLO, 0, {"proto": 1}), Message(MessageType.RES, 1, {"size": 3}),
    Message(MessageType.DATA, 2, {"sha256": "a" * 64, "offset": 0}, b"payload" * 50)))
GOOD_RECORDING = pack_recording(header(traces=[power_trace()]), arrays())

damage = st.lists(st.tuples(st.integers(0, 10_000), st.binary(max_size=8)), min_size=1, max_size=6)


def damaged(data, places):
    """The bytes with some places overwritten, cut or stretched."""
    out = bytearray(data)
    for at, piece in places:
        start = at % (len(out) + 1)
        out[start:start + max(len(piece) - 1, 0)] = piece
    return bytes(out)


@settings(max_examples=EXAMPLES)
@given(places=damage, cut=st.integers(1, 200))
def test_a_damaged_stream_gives_messages_or_a_frame_error(places, cut):
    """In portions of any size."""
    data = damaged(GOOD_STREAM, places)
    link = StreamLink()
    with suppress(FrameError):
        for at in range(0, len(data), cut):
            assert all(isinstance(message, Message) for message in link.receive(data[at:at + cut], 0))


@settings(max_examples=EXAMPLES)
@given(places=damage)
def test_a_damaged_recording_gives_a_window_or_a_named_error(places):
    """What unpacks is checked field by field before it becomes a window."""
    with suppress(RecordingError, ProtocolMismatch):
        fields, found = unpack_recording(damaged(GOOD_RECORDING, places))
        assert all(isinstance(values, array) for values in found.values())
        assert window_from_recording(fields, found, "0" * 64).sha256 == "0" * 64
