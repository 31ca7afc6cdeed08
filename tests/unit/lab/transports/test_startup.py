"""The conversation with the start script, played by a scripted device."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.errors import ConnectFailed, ConnectionLost, TransportTimeout
from lab.transports.base import AgentBundle
from lab.transports.deadlines import deadline_after
from lab.transports.scripted import ScriptedStream
from lab.transports.start_script import AgentStart
from lab.transports.startup import start_agent


@pytest.fixture
def start(tmp_path):
    path = tmp_path / "agent.pyz"
    path.write_bytes(b"agent bytes " * 10_000)
    return AgentStart(bundle=AgentBundle(path=path, sha256="a" * 64), home="home")


class Device:
    """Prints `first`, then one of `later` whenever the agent's bytes have all come; None ends the stream."""

    def __init__(self, first, *later, expected_bytes=0):
        self.first = first
        self.later = list(later)
        self.expected_bytes = expected_bytes
        self.got = b""

    def __call__(self, data):
        if data == b"":
            return self.first
        self.got += data
        return self.later.pop(0) if len(self.got) == self.expected_bytes and self.later else b""


def status(start, word, **facts):
    return f"\n{start.status_token} {word} {json.dumps(facts)}\n".encode()


def begun(start, handler, seconds=20.0):
    return start_agent(ScriptedStream(handler), start, "pi@pi", deadline_after(seconds))


def read(stream, size):
    buffer = bytearray(size)
    return bytes(buffer[:stream.recv_into(memoryview(buffer), deadline_after(5))])


def test_banners_and_noise_before_the_agent_are_dropped(start):
    token = start.agent_token.encode()
    device = Device(b"Welcome to Pi\n" + status(start, "start") + b"libfoo: warning\n" + token + b"HELLO")
    stream = begun(start, device)
    assert read(stream, 3) + read(stream, 100) == b"HELLO"


def test_a_missing_agent_is_sent_before_it_starts(start):
    size = start.bundle.path.stat().st_size
    ready = status(start, "start") + start.agent_token.encode() + b"JL"
    device = Device(status(start, "need"), ready, expected_bytes=size)
    stream = begun(start, device)
    assert device.got == start.bundle.path.read_bytes()
    assert read(stream, 10) == b"JL"


def test_after_the_token_the_stream_is_the_agents(start):
    device = Device(status(start, "start") + start.agent_token.encode(), b"pong", expected_bytes=4)
    stream = begun(start, device)
    assert stream.send(memoryview(b"ping"), deadline_after(5)) == 4
    assert read(stream, 10) == b"pong"
    stream.close()
    with pytest.raises(ConnectionLost):
        read(stream, 10)


@pytest.mark.parametrize(("word", "facts", "expected"), [
    ("none", {}, r"no python3 on pi@pi: install Python 3\.9 or newer"),
    ("old", {"python": "3.7.16", "path": "/usr/bin/python3"},
     r"pi@pi: python 3\.7\.16 at /usr/bin/python3 is too old, need 3\.9"),
    ("home", {"path": "/ro/x", "error": "[Errno 30] Read-only file system"},
     r"/ro/x cannot be written: \[Errno 30\] Read-only file system; make it writable"),
    ("hash", {}, "arrived damaged"),
    ("dance", {}, "answered 'dance', which is no status"),
])
def test_every_refusal_says_what_to_do(start, word, facts, expected):
    with pytest.raises(ConnectFailed, match=expected):
        begun(start, Device(status(start, word, **facts)))


def test_a_named_python_that_is_not_there_is_named(start):
    named = replace(start, python="/opt/python")
    with pytest.raises(ConnectFailed, match=r"pi@pi: /opt/python was not found; name one .* --python PATH`"):
        begun(named, Device(status(named, "none")))


def test_a_refusal_after_the_agent_was_sent(start):
    size = start.bundle.path.stat().st_size
    device = Device(status(start, "need"), status(start, "home", path="/x", error="No space left"), expected_bytes=size)
    with pytest.raises(ConnectFailed, match="No space left"):
        begun(start, device)


@pytest.mark.parametrize("line", ["start", "start [1]", "start {", "start " + "[" * 5000])
def test_a_status_that_is_no_status(start, line):
    with pytest.raises(ConnectFailed, match="no status"):
        begun(start, Device(f"{start.status_token} {line}\n".encode()))


def test_a_status_without_end_is_given_up(start):
    with pytest.raises(ConnectFailed, match="has no end"):
        begun(start, Device(start.status_token.encode() + b" old " + b"x" * 20_000))


def test_noise_without_end_is_given_up(start):
    with pytest.raises(ConnectFailed, match=r"no agent within 65536 bytes.*login script"):
        begun(start, Device(b"motd " * 30_000))


def test_a_start_command_that_ends_shows_what_it_printed(start):
    stream = _Dribble(b"sh: 1: \x1b[31msyntax\x1b[0m error\n", [])
    with pytest.raises(ConnectFailed, match=r"ended without an agent; it printed 'sh: 1: syntax error'"):
        start_agent(stream, start, "pi@pi", deadline_after(5))


def test_silence_is_a_timeout_with_what_was_printed(start):
    with pytest.raises(TransportTimeout, match=r"pi@pi: no agent in time; it printed 'Password:'"):
        begun(start, Device(b"Password:"), seconds=0.05)


def test_a_link_that_breaks_is_no_connection(start):
    class Broken(ScriptedStream):
        def recv_into(self, *_):
            raise ConnectionLost("reset by peer")

    with pytest.raises(ConnectFailed, match=r"the link ended while the agent started: reset by peer"):
        start_agent(Broken(lambda _: b""), start, "pi@pi", deadline_after(5))


def test_a_failed_start_closes_the_stream(start):
    stream = ScriptedStream(Device(status(start, "none")))
    with pytest.raises(ConnectFailed):
        start_agent(stream, start, "pi@pi", deadline_after(5))
    with pytest.raises(ConnectionLost, match="closed here"):
        stream.recv_into(memoryview(bytearray(1)), deadline_after(5))


@given(st.lists(st.integers(min_value=1, max_value=40), min_size=1, max_size=20))
def test_it_does_not_matter_how_the_bytes_are_cut(sizes):
    start = AgentStart(bundle=AgentBundle(path=Path(__file__), sha256="a" * 64), home="home")
    whole = b"noise" + status(start, "start") + b"more" + start.agent_token.encode() + b"HELLO"
    stream = start_agent(_Dribble(whole, sizes), start, "pi@pi", deadline_after(5))
    received = b""
    while len(received) < 5:
        received += read(stream, 100)
    assert received == b"HELLO"


class _Dribble(ScriptedStream):
    def __init__(self, data, sizes):
        super().__init__(lambda _: b"")
        self._left = data
        self._sizes = sizes

    def recv_into(self, view, _):
        size = self._sizes.pop(0) if self._sizes else len(self._left)
        part, self._left = self._left[:size], self._left[size:]
        view[:len(part)] = part
        return len(part)
