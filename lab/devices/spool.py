"""Finished windows on the device: list them, fetch each whole and checked, acknowledge what is safe here."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from agents.wire.messages import MessageType
from lab.domain.untrusted import Fields
from lab.errors import ProtocolMismatch, TransportTimeout
from lab.transports.deadlines import deadline_after, remaining_s

from .conversation import Conversation
from .request import Request
from .untrusted import objects, sha256

MAX_RECORDING_BYTES = 256 * 1024 * 1024
"""Largest recording taken from a device, checked before memory is reserved for it."""

MAX_ENTRIES = 100_000
_STALL_S = 30.0
_FETCH_S = 60.0
_FETCH_BYTES_PER_S = 32 * 1024
"""A link slower than this is beyond use; with a minute on top it bounds a whole fetch."""


@dataclass(frozen=True, kw_only=True)
class SpoolEntry:
    """One recording in the device's spool; `cell_id` is None for an idle."""

    block_id: str
    cell_id: str | None
    attempt: int
    position: int
    sha256: str
    size: int


def list_spool(conversation: Conversation, block_id: str | None, timeout_s: float) -> tuple[SpoolEntry, ...]:
    """What the device holds; raises ProtocolMismatch for sizes or names that cannot be."""
    header = {} if block_id is None else {"block_id": block_id}
    answer = conversation.call("spool.list", header, timeout_s)
    return tuple(_entry(item) for item in objects(answer, "entries", MAX_ENTRIES))


def fetch(conversation: Conversation, entry: SpoolEntry, timeout_s: float | None = None) -> bytes:
    """Bytes of one recording; raises ProtocolMismatch if they are not what the entry promised.

    TransportTimeout after `timeout_s`, by default what its size takes on the slowest link that is of use.
    """
    if entry.size > MAX_RECORDING_BYTES:
        raise ProtocolMismatch(f"{conversation.where}: recording {entry.sha256} of {entry.size} bytes exceeds "
                               f"{MAX_RECORDING_BYTES}")
    data = bytearray()
    limit_s = _FETCH_S + entry.size / _FETCH_BYTES_PER_S if timeout_s is None else timeout_s
    deadline_ns = deadline_after(limit_s)
    with conversation.request("spool.get", {"sha256": entry.sha256, "offset": 0}) as request:
        while (message := request.next(min(deadline_ns, deadline_after(_STALL_S)))).type is MessageType.DATA:
            _append(request, data, Fields.of(message.header, "spool.get"), message.body, entry)
            if not remaining_s(deadline_ns):
                raise TransportTimeout(f"{request.what}: got {len(data)} of {entry.size} bytes of {entry.sha256} "
                                       f"within {limit_s:.0f} s; the link is too slow, or the agent stalls")
    if len(data) != entry.size:
        raise ProtocolMismatch(f"{request.what}: got {len(data)} bytes of {entry.sha256}, {entry.size} were announced")
    got = hashlib.sha256(data).hexdigest()
    if got != entry.sha256:
        raise ProtocolMismatch(f"{request.what}: asked for {entry.sha256}, got bytes with SHA-256 {got}")
    return bytes(data)


def acknowledge(conversation: Conversation, sha256s: Sequence[str], fence: int, timeout_s: float) -> int:
    """How many recordings the device has dropped; only for those that are safe here."""
    answer = conversation.call("spool.ack", {"sha256s": list(sha256s), "fence": fence}, timeout_s)
    return answer.whole("removed")


def _append(request: Request, data: bytearray, header: Fields, body: bytes, entry: SpoolEntry) -> None:
    if not body:
        raise ProtocolMismatch(f"{request.what}: expected bytes from {len(data)} on, got DATA without any")
    offset = header.whole("offset")
    if offset != len(data):
        raise ProtocolMismatch(f"{request.what}: expected bytes from {len(data)} on, got some from {offset} on")
    if offset + len(body) > entry.size:
        raise ProtocolMismatch(f"{request.what}: more than the {entry.size} bytes announced for {entry.sha256}")
    data += body


def _entry(item: Fields) -> SpoolEntry:
    return SpoolEntry(
        block_id=item.identifier("block_id"), cell_id=item.identifier("cell_id") if item.has("cell_id") else None,
        attempt=item.whole("attempt"), position=item.whole("position"), sha256=sha256(item, "sha256"),
        size=item.whole("size", high=MAX_RECORDING_BYTES),
    )
