"""The conversation with stage 0: read its status, hand over the bundle if missing, wait for the agent's token."""

from __future__ import annotations

import json
from dataclasses import dataclass

from agents.wire.frames import FrameError, PreambleSkipper
from lab.domain.untrusted import clean_text
from lab.errors import ConnectFailed, ConnectionLost, TransportTimeout

from .base import ByteStream
from .device_text import clean_bytes, clean_tail
from .start_script import PYTHON_MIN, AgentStart

MAX_STATUS_BYTES = 8 * 1024
_READ_BYTES = 64 * 1024


class StartedStream:
    """A stream whose first bytes were already read while looking for the agent's token."""

    def __init__(self, stream: ByteStream, first: bytes) -> None:
        self._stream = stream
        self._first = first

    def send(self, view: memoryview, deadline_ns: int) -> int:
        """See ByteStream."""
        return self._stream.send(view, deadline_ns)

    def recv_into(self, view: memoryview, deadline_ns: int) -> int:
        """See ByteStream."""
        if not self._first:
            return self._stream.recv_into(view, deadline_ns)
        size = min(len(view), len(self._first))
        view[:size] = self._first[:size]
        self._first = self._first[size:]
        return size

    def close(self) -> None:
        """See ByteStream; what was read early and not asked for is dropped."""
        self._first = b""
        self._stream.close()

    def ending(self) -> str:
        """See ByteStream."""
        return self._stream.ending()


def start_agent(stream: ByteStream, start: AgentStart, where: str, deadline_ns: int) -> ByteStream:
    """The stream past the agent's token, its next byte being the HELLO; closes the stream if that fails.

    `where` names the device in error texts. Raises ConnectFailed with what the device printed, or TransportTimeout.
    """
    startup = _Startup(stream, start, where, deadline_ns)
    try:
        return startup.complete()
    except BaseException:
        stream.close()
        raise


@dataclass(frozen=True)
class _Status:
    word: str
    facts: dict[str, object]

    def text(self, key: str) -> str:
        return clean_text(str(self.facts.get(key, "?")))


class _Startup:
    def __init__(self, stream: ByteStream, start: AgentStart, where: str, deadline_ns: int) -> None:
        self._stream = stream
        self._start = start
        self._where = where
        self._deadline_ns = deadline_ns
        self._unread = b""
        self._printed = b""

    def complete(self) -> ByteStream:
        status = self._status()
        if status.word == "need":
            self._send_bundle()
            status = self._status()
        if status.word != "start":
            raise ConnectFailed(self._refusal(status))
        first = self._after(self._start.agent_token)
        return StartedStream(self._stream, first)

    def _status(self) -> _Status:
        line = self._after(self._start.status_token)
        while b"\n" not in line:
            if len(line) > MAX_STATUS_BYTES:
                raise ConnectFailed(f"{self._where}: the start script's status has no end: {clean_bytes(line)!r}")
            line += self._read()
        line, _, self._unread = line.partition(b"\n")
        word, _, rest = line.decode("utf-8", "replace").strip().partition(" ")
        try:
            facts = json.loads(rest)
        except (ValueError, RecursionError):
            facts = None
        if not isinstance(facts, dict):
            raise ConnectFailed(f"{self._where}: the start script answered {clean_bytes(line)!r}, no status")
        return _Status(word, facts)

    def _after(self, token: str) -> bytes:
        """Bytes after the next occurrence of the token; what precedes it is kept for the error text."""
        skipper = PreambleSkipper(token.encode())
        data = self._unread
        self._unread = b""
        try:
            rest = skipper.feed(data)
            while not skipper.found:
                self._printed = skipper.noise
                rest = skipper.feed(self._read())
        except FrameError as error:
            raise ConnectFailed(
                f"{self._where}: {clean_text(str(error))}; does a login script print without end?"
            ) from None
        return rest

    def _read(self) -> bytes:
        buffer = bytearray(_READ_BYTES)
        try:
            size = self._stream.recv_into(memoryview(buffer), self._deadline_ns)
        except TransportTimeout:
            raise TransportTimeout(f"{self._where}: no agent in time{self._evidence()}") from None
        except ConnectionLost as error:
            raise ConnectFailed(f"{self._where}: the link ended while the agent started: {error}") from None
        if size == 0:
            raise ConnectFailed(f"{self._where}: the start command ended without an agent{self._evidence()}")
        return bytes(buffer[:size])

    def _send_bundle(self) -> None:
        view = memoryview(self._start.bundle.path.read_bytes())
        try:
            while view:
                view = view[self._stream.send(view, self._deadline_ns):]
        except ConnectionLost as error:
            raise ConnectFailed(f"{self._where}: the link ended while the agent was sent: {error}") from None

    def _evidence(self) -> str:
        """What is known about why nothing came, as the end of a sentence."""
        parts = []
        if self._printed:
            parts.append(f"it printed {clean_tail(self._printed)!r}")
        if ending := self._stream.ending():
            parts.append(ending)
        return "; " + "; ".join(parts) if parts else ""

    def _refusal(self, status: _Status) -> str:
        if status.word == "none" and self._start.python is not None:
            return (f"{self._where}: {self._start.python} was not found; name one that exists with "
                    f"`lab devices add … --python PATH`")
        if status.word == "none":
            return (f"no python3 on {self._where}: install Python {PYTHON_MIN} or newer there, or name one with "
                    f"`lab devices add … --python PATH`")
        if status.word == "old":
            return (f"{self._where}: python {status.text('python')} at {status.text('path')} is too old, "
                    f"need {PYTHON_MIN}; name a newer one with `lab devices add … --python PATH`")
        if status.word == "home":
            return (f"{self._where}: the agent's folder {status.text('path')} cannot be written: "
                    f"{status.text('error')}; make it writable for this user")
        if status.word == "hash":
            return f"{self._where}: the agent arrived damaged; nothing was kept, connect again"
        return f"{self._where}: the start script answered {clean_text(status.word)!r}, which is no status"
