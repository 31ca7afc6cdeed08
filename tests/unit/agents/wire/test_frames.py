"""Frames survive any cutting of the stream, and garbage never passes as a frame."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.wire.frames import (
    HEADER,
    MAX_PAYLOAD_BYTES,
    Frame,
    FrameError,
    FrameReader,
    PreambleSkipper,
    encode_frame,
)
from tests.support.cutting import cut_at

FRAMES = st.lists(st.builds(Frame, st.integers(0, 255), st.integers(0, 255), st.integers(0, 2**32 - 1),
                            st.binary(max_size=300)), max_size=8)


def encoded(frames):
    return b"".join(encode_frame(f.type, f.stream, f.payload, f.flags) for f in frames)


def cut(data, points):
    return [data[start:end] for start, end in cut_at(len(data), points)]


@given(FRAMES, st.lists(st.integers(0, 10_000), max_size=30))
def test_frames_come_back_whole_however_the_stream_is_cut(frames, points):
    reader = FrameReader()
    found = [frame for piece in cut(encoded(frames), points) for frame in reader.feed(piece)]
    assert found == frames


@given(FRAMES, st.integers(0, 10_000))
def test_a_cut_off_stream_yields_the_whole_frames_before_the_cut(frames, point):
    data = encoded(frames)
    end = point % (len(data) + 1)
    found = FrameReader().feed(data[:end])
    assert found == frames[:len(found)]
    assert len(encoded(found)) <= end


@given(st.binary(min_size=HEADER.size, max_size=200).filter(lambda data: data[:2] != b"JL"))
def test_bytes_without_the_magic_are_refused_and_shown(garbage):
    with pytest.raises(FrameError, match="expected a frame"):
        FrameReader().feed(garbage)


@given(FRAMES.filter(bool), st.integers(0, 1), st.integers(1, 255))
def test_a_damaged_magic_is_fatal(frames, position, change):
    data = bytearray(encoded(frames))
    data[position] ^= change
    with pytest.raises(FrameError):
        FrameReader().feed(bytes(data))


@given(st.integers(MAX_PAYLOAD_BYTES + 1, 2**32 - 1))
def test_an_announced_size_beyond_the_cap_is_refused_before_any_of_it_arrives(length):
    with pytest.raises(FrameError, match=f"{length} bytes announced"):
        FrameReader().feed(HEADER.pack(b"JL", 1, 0, 0, length))


def test_the_largest_payload_passes_and_one_byte_more_does_not():
    largest = bytes(MAX_PAYLOAD_BYTES)
    assert FrameReader().feed(encode_frame(6, 1, largest))[0].payload == largest
    with pytest.raises(FrameError, match="exceeds"):
        encode_frame(6, 1, largest + b"x")


TOKEN = b"0123456789abcdef0123456789abcdef"


@given(st.binary(max_size=500).filter(lambda noise: TOKEN[:1] not in noise), st.binary(max_size=50),
       st.lists(st.integers(0, 1000), max_size=10))
def test_everything_before_the_token_is_noise_and_everything_after_it_is_kept(noise, rest, points):
    skipper = PreambleSkipper(TOKEN)
    assert b"".join(skipper.feed(piece) for piece in cut(noise + TOKEN + rest, points)) == rest
    assert skipper.found
    assert skipper.noise == noise


def test_too_much_noise_without_a_token_is_refused_and_its_end_is_shown():
    skipper = PreambleSkipper(TOKEN, limit_bytes=100)
    assert skipper.feed(bytes(100)) == b""
    with pytest.raises(FrameError, match="the end"):
        skipper.feed(b"the end")
