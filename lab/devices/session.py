"""A typed conversation with one agent: every call has a deadline and raises the lab's own errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from agents.wire.link import StreamLink
from agents.wire.messages import Header
from agents.wire.plan import BlockPlan, plan_to_json
from lab.domain.device import DeviceFacts
from lab.domain.recording import ClockSync
from lab.domain.untrusted import Fields
from lab.errors import ConfigError
from lab.transports.base import AgentBundle, Transport

from . import spool
from .clock_sync import estimate
from .conversation import Conversation
from .facts import check_hello, device_facts
from .request import MEASURING
from .spool import SpoolEntry
from .upload import Progress, upload

__all__ = ["AgentSession", "BlockStatus", "Kicked", "SpoolEntry"]

FACTS_TIMEOUT_S = 90.0
"""Facts wait for a short process that imports the runtimes, which takes long on a small board."""

WAIT_GRACE_S = 20.0
CANCEL_TIMEOUT_S = 40.0
"""A cancelled block first puts the device's state back."""

MAX_WINDOWS = 10_000
STATES = ("running", "done", "failed", "cancelled", "unknown")


@dataclass(frozen=True, kw_only=True)
class BlockStatus:
    """How far a block is; `error` says why it failed, `waiting` that it queues for its machine."""

    state: str
    position: int
    windows_done: int
    error: str | None
    waiting: bool = False


@dataclass(frozen=True, kw_only=True)
class Kicked:
    """A lease taken from `holder`, None if nobody else had it; `block_id` is the block that runs, whoever began it."""

    fence: int
    holder: str | None
    block_id: str | None


class AgentSession:
    """Made by `open`; a context manager. Requests may come from several threads."""

    def __init__(self, conversation: Conversation, hello: Header, timeout_s: float) -> None:
        self.hello: Mapping[str, object] = hello
        self._conversation = conversation
        self._hello = hello
        self._timeout_s = timeout_s

    @classmethod
    def open(cls, transport: Transport, bundle: AgentBundle, *, timeout_s: float = 20.0) -> AgentSession:
        """Start the agent and greet it; raises what the transport raises, ProtocolMismatch or TransportTimeout."""
        if transport.link != "stream":
            raise ConfigError(f"{transport.where}: a {transport.link} link is not supported yet")
        conversation = Conversation(transport.open(bundle), StreamLink(), transport.where)
        try:
            hello = conversation.hello(timeout_s)
            check_hello(hello, bundle, transport.where)
        except BaseException:
            conversation.close()
            raise
        return cls(conversation, hello, timeout_s)

    @property
    def where(self) -> str:
        """What error texts call the device."""
        return self._conversation.where

    def facts(self) -> DeviceFacts:
        """What the device is and what can be read on it."""
        return device_facts(self._hello, self._conversation.call("facts", {}, FACTS_TIMEOUT_S), self.where)

    def clock_sync(self, exchanges: int = 16) -> ClockSync:
        """Agent clock against this machine's monotonic clock; raises ValueError for less than one exchange."""
        return estimate([self._conversation.ping(self._timeout_s) for _ in range(exchanges)])

    def acquire_lease(self, owner: str, ttl_s: float) -> int:
        """The fence that later calls carry; raises DeviceBusy naming who holds the device and for how long."""
        answer = self._call("lease.acquire", owner=owner, ttl_s=ttl_s)
        return answer.whole("fence", 1)

    def kick_lease(self, owner: str, ttl_s: float) -> Kicked:
        """Take the device, whoever holds it: the fence they have is refused from now on."""
        answer = self._call("lease.kick", owner=owner, ttl_s=ttl_s)
        return Kicked(fence=answer.whole("fence", 1), holder=answer.text("holder") if answer.has("holder") else None,
                      block_id=answer.identifier("block_id") if answer.has("block_id") else None)

    def renew_lease(self, fence: int, ttl_s: float) -> None:
        """Hold the lease for another `ttl_s` from now; raises RequestFailed `fenced` if it went to someone else."""
        self._call("lease.renew", fence=fence, ttl_s=ttl_s)

    def release_lease(self, fence: int) -> None:
        """Give the device back; raises RequestFailed `fenced` if it went to someone else."""
        self._call("lease.release", fence=fence)

    def put(self, path: Path, sha256: str, fence: int, progress: Progress | None = None) -> int:
        """Payload bytes sent until the device has the file, 0 if it had it; see `upload.upload`."""
        return upload(self._conversation, path, sha256, fence, timeout_s=self._timeout_s, progress=progress)

    def start_block(self, plan: BlockPlan, fence: int) -> None:
        """Hand over a plan; the block then needs no link. RequestFailed: bad_plan, missing_artifact, busy, fenced."""
        self._call("block.start", plan=plan_to_json(plan), fence=fence)

    def wait_block(self, block_id: str, timeout_s: float) -> BlockStatus:
        """The block's status as soon as it ends, or after `timeout_s`; nothing crosses the line meanwhile."""
        answer = self._conversation.call(
            "block.wait", {"block_id": block_id, "timeout_s": timeout_s}, timeout_s + WAIT_GRACE_S, MEASURING)
        return _block_status(answer)

    def block_status(self, block_id: str) -> BlockStatus:
        """The block's status now."""
        return _block_status(self._call("block.status", block_id=block_id))

    def cancel_block(self, block_id: str, fence: int) -> None:
        """End a running block, its state restored; finished windows stay in the spool."""
        self._conversation.call("block.cancel", {"block_id": block_id, "fence": fence}, CANCEL_TIMEOUT_S)

    def list_spool(self, block_id: str | None = None) -> tuple[SpoolEntry, ...]:
        """Recordings that the device still holds, of one block or of all."""
        return spool.list_spool(self._conversation, block_id, self._timeout_s)

    def fetch(self, entry: SpoolEntry) -> bytes:
        """One recording, its size capped and its hash checked."""
        return spool.fetch(self._conversation, entry)

    def ack(self, sha256s: Sequence[str], fence: int) -> int:
        """Let the device drop recordings that are safe here; returns how many it dropped."""
        return spool.acknowledge(self._conversation, sha256s, fence, self._timeout_s)

    def close(self) -> None:
        """End the session; a running block goes on. Idempotent."""
        self._conversation.close()

    def __enter__(self) -> AgentSession:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _call(self, op: str, **header: object) -> Fields:
        return self._conversation.call(op, header, self._timeout_s)


def _block_status(answer: Fields) -> BlockStatus:
    return BlockStatus(
        state=answer.choice("state", STATES), position=answer.whole("position", high=MAX_WINDOWS),
        windows_done=answer.whole("windows_done", high=MAX_WINDOWS),
        error=answer.text("error") if answer.has("error") else None,
        waiting=answer.flag("waiting") if answer.has("waiting") else False,
    )
