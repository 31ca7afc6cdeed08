"""The shipped fake keeps the promises of a byte stream."""

import threading

import pytest

from lab.errors import ConnectionLost, TransportTimeout
from lab.transports.deadlines import deadline_after
from lab.transports.scripted import ScriptedStream, ScriptedTransport
from tests.support.scripted_agent import bundle


def receive(stream, size=100, seconds=5.0):
    buffer = bytearray(size)
    return bytes(buffer[:stream.recv_into(memoryview(buffer), deadline_after(seconds))])


def test_every_open_begins_anew():
    transport = ScriptedTransport(lambda data: b"hello" if data == b"" else b"")
    assert [receive(transport.open(bundle())) for _ in range(2)] == [b"hello", b"hello"]
    assert transport.opened == 2


def test_answers_come_in_portions_of_the_readers_size():
    stream = ScriptedStream(lambda data: data.upper())
    stream.send(memoryview(b"abcde"), deadline_after(5))
    assert [receive(stream, 2), receive(stream, 2), receive(stream, 2)] == [b"AB", b"CD", b"E"]


def test_none_is_the_end_after_what_was_answered():
    answers = iter([b"last words", None])
    stream = ScriptedStream(lambda _: next(answers))
    stream.send(memoryview(b"x"), deadline_after(5))
    assert receive(stream) == b"last words"
    assert receive(stream) == b""
    assert stream.ending() == "the script is at its end"
    with pytest.raises(ConnectionLost, match="ended the stream"):
        stream.send(memoryview(b"x"), deadline_after(5))


def test_silence_lasts_to_the_deadline():
    with pytest.raises(TransportTimeout, match="sent nothing"):
        receive(ScriptedStream(lambda _: b""), seconds=0.02)


def test_a_waiting_reader_hears_of_the_close():
    stream = ScriptedStream(lambda _: b"")
    closer = threading.Timer(0.05, stream.close)
    closer.start()
    with pytest.raises(ConnectionLost, match="closed here"):
        receive(stream, seconds=30)
    closer.join()
    stream.close()
    with pytest.raises(ConnectionLost):
        stream.send(memoryview(b"x"), deadline_after(5))
