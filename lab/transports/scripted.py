"""A transport whose device is a function: for tests, dry runs and documentation."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import ClassVar, Literal, TypeAlias

from lab.errors import ConnectionLost, TransportTimeout

from .base import AgentBundle, ByteStream
from .deadlines import remaining_s

Handler: TypeAlias = Callable[[bytes], bytes | None]
"""Called with `b""` when the stream opens, then with every portion sent; returns what the device answers (may be
empty), or None: the device's end is gone."""


class ScriptedTransport:
    """Every `open` starts a new stream on the same handler; `opened` counts them."""

    link: ClassVar[Literal["stream", "serial"]] = "stream"
    where = "the scripted device"

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self.opened = 0

    def open(self, bundle: AgentBundle) -> ByteStream:  # noqa: ARG002 - nothing to start
        """See Transport."""
        self.opened += 1
        return ScriptedStream(self._handler)


class ScriptedStream:
    """Answers are ready the moment `send` returns; a wait without an answer lasts to its deadline."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._changed = threading.Condition()
        self._answers = bytearray()
        self._ended = False
        self._closed = False
        self._feed(b"")

    def send(self, view: memoryview, deadline_ns: int) -> int:  # noqa: ARG002 - never waits
        """See ByteStream."""
        if self._ended or self._closed:
            raise ConnectionLost("the scripted device has ended the stream")
        self._feed(bytes(view))
        return len(view)

    def recv_into(self, view: memoryview, deadline_ns: int) -> int:
        """See ByteStream."""
        with self._changed:
            if not self._changed.wait_for(self._readable, remaining_s(deadline_ns)):
                raise TransportTimeout("the scripted device sent nothing before the deadline")
            if self._closed:
                raise ConnectionLost("the stream to the agent was closed here")
            size = min(len(view), len(self._answers))
            view[:size] = self._answers[:size]
            del self._answers[:size]
            return size

    def close(self) -> None:
        """See ByteStream."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def ending(self) -> str:
        """See ByteStream."""
        return "the script is at its end" if self._ended else ""

    def _readable(self) -> bool:
        return bool(self._answers) or self._ended or self._closed

    def _feed(self, data: bytes) -> None:
        answer = self._handler(data)
        with self._changed:
            if answer is None:
                self._ended = True
            else:
                self._answers += answer
            self._changed.notify_all()
