"""One open request: send or read its DATA, then take the answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agents.wire.messages import Header, Message, MessageType
from lab.domain.untrusted import Fields
from lab.errors import ProtocolMismatch
from lab.transports.deadlines import deadline_after

from .answers import error_from
from .inbox import Inbox

if TYPE_CHECKING:
    from .conversation import Conversation


@dataclass(frozen=True, kw_only=True)
class Liveness:
    """While waiting: PING after `quiet_s` without a byte, give the link up after `dead_s` without one."""

    quiet_s: float = 10.0
    dead_s: float = 40.0


PATIENT = Liveness(quiet_s=30.0, dead_s=180.0)
"""While the agent hashes or syncs a large file it answers nothing else."""

MEASURING = Liveness(quiet_s=60.0, dead_s=180.0)
"""During a block the line stays quiet: each PING wakes a core of the device."""


class Request:
    """Made by `Conversation.request`; `answered` once the agent has sent RES or ERR."""

    def __init__(self, conversation: Conversation, inbox: Inbox, number: int, op: str) -> None:
        self._conversation = conversation
        self._inbox = inbox
        self._number = number
        self._op = op
        self.answered = False

    @property
    def what(self) -> str:
        """Where and which request, for error texts."""
        return f"{self._conversation.where}: {self._op}"

    def answer(self, deadline_ns: int, liveness: Liveness | None = None) -> Fields:
        """The header of the RES; raises what an ERR stands for, ProtocolMismatch for anything else."""
        message = self.next(deadline_ns, liveness)
        if message.type is not MessageType.RES:
            raise ProtocolMismatch(f"{self.what}: expected an answer, got {message.type.name}")
        return Fields.of(message.header, f"({self._conversation.where}) {self._op}")

    def next(self, deadline_ns: int, liveness: Liveness | None = None) -> Message:
        """The next DATA or the RES; raises what an ERR stands for."""
        message = self._conversation.wait(self._inbox, deadline_ns, self._op, liveness).message
        if message.type in (MessageType.RES, MessageType.ERR):
            self.answered = True
        if message.type is MessageType.ERR:
            raise error_from(message.header, self._conversation.where, self._op)
        return message

    def send_data(self, header: Header, body: bytes) -> None:
        """One DATA of this request; raises the agent's ERR if it has refused in the meantime."""
        if self._inbox.peek():
            message = self.next(deadline_after(0))
            raise ProtocolMismatch(f"{self.what}: got {message.type.name} in the middle of an upload")
        self._conversation.send(Message(MessageType.DATA, self._number, header, body))
