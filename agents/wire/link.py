"""Links turn bytes into messages and back without doing any I/O; a clean stream needs the simplest one."""

from __future__ import annotations

from collections import deque
from typing import Deque, List, Protocol, Tuple

from .frames import FrameReader
from .messages import Message, decode_message, encode_message

NEVER_NS = 2**62
"""A deadline that never comes."""


class Link(Protocol):
    """What both ends drive; time is an argument so that tests can play it."""

    def receive(self, data: bytes, now_ns: int) -> List[Message]:
        """Messages completed by these bytes; raises FrameError when the stream is beyond repair."""

    def send(self, message: Message) -> None:
        """Queue one message."""

    def poll(self, now_ns: int) -> Tuple[bytes, int]:
        """Bytes to write now (one frame at most, or none) and the instant of the next call."""


class StreamLink:
    """Plain frames over a stream that neither loses nor reorders: a pipe or an SSH channel.

    Control messages overtake queued DATA, so that a PONG never waits behind an upload.
    """

    def __init__(self) -> None:
        self._reader = FrameReader()
        self._urgent: Deque[bytes] = deque()
        self._bulk: Deque[bytes] = deque()

    def receive(self, data: bytes, now_ns: int) -> List[Message]:  # noqa: ARG002
        """See Link."""
        return [decode_message(frame) for frame in self._reader.feed(data)]

    def send(self, message: Message) -> None:
        """See Link; a RES or ERR stays behind the DATA of its own request by being queued with it."""
        queue = self._bulk if self._follows_bulk(message) else self._urgent
        queue.append(encode_message(message))

    def poll(self, now_ns: int) -> Tuple[bytes, int]:  # noqa: ARG002
        """See Link; never asks to be called at a later instant."""
        if self._urgent:
            return self._urgent.popleft(), NEVER_NS
        if self._bulk:
            return self._bulk.popleft(), NEVER_NS
        return b"", NEVER_NS

    @property
    def queued(self) -> int:
        """Frames waiting to be written."""
        return len(self._urgent) + len(self._bulk)

    def _follows_bulk(self, message: Message) -> bool:
        return message.type.name == "DATA" or bool(message.header.get("after_data"))
