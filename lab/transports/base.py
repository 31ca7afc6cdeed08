"""A transport gets an agent running and hands back the byte stream to it; nothing else crosses this line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, Protocol, runtime_checkable


@dataclass(frozen=True, kw_only=True)
class AgentBundle:
    """The agent as one file, named by its hash."""

    path: Path
    sha256: str


@dataclass(frozen=True, kw_only=True)
class CommandEnd:
    """How a command on the device ended: its exit status, or None where the link or a signal ended it first.

    `printed` is the end of what it printed, cleaned; `is_gone` says that the device no longer answered afterwards.
    """

    status: int | None
    printed: str
    is_gone: bool


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


@runtime_checkable
class RunsCommands(Protocol):
    """A transport that can also have the device carry out a command of the user's; not every one can."""

    def run_command(self, command: str, timeout_s: float, *, gone_within_s: float = 0.0) -> CommandEnd:
        """Have the device's shell carry out one line, without terminal or input, and wait for its end.

        Unless it failed, then wait at most `gone_within_s` for the device to stop answering. Raises what
        `Transport.open` raises, and TransportTimeout if the command goes on for longer than `timeout_s` on a device
        that still answers.
        """
