"""A transport gets an agent running and hands back the byte stream to it; nothing else crosses this line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, Protocol


@dataclass(frozen=True, kw_only=True)
class AgentBundle:
    """The agent as one file, named by its hash."""

    path: Path
    sha256: str


class ByteStream(Protocol):
    """A bidirectional stream of bytes; deadlines are `time.monotonic_ns()` instants."""

    def send(self, view: memoryview, deadline_ns: int) -> int:
        """Write some bytes and say how many; raises TransportTimeout or ConnectionLost."""

    def recv_into(self, view: memoryview, deadline_ns: int) -> int:
        """Read at least one byte, or return 0 at end of stream; raises TransportTimeout or ConnectionLost."""

    def close(self) -> None:
        """End the stream; idempotent; the agent sees end of file."""

    def ending(self) -> str:
        """Why the stream ended, as far as known: exit status, last lines of stderr; empty if nothing is known."""


class Transport(Protocol):
    """One way to reach one device.

    The stream returned by `open` is already past the agent's start token: its next byte is the agent's HELLO.
    """

    link: ClassVar[Literal["stream", "serial"]]

    @property
    def where(self) -> str:
        """What error texts call the device."""

    def open(self, bundle: AgentBundle) -> ByteStream:
        """Get an agent of that hash running.

        Raises ConnectFailed, HostKeyError, AuthFailed or TransportTimeout.
        """
