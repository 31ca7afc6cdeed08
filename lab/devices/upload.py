"""Artifacts to the device: named by hash, sent once, resumed where the last link broke off."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from io import FileIO
from pathlib import Path
from typing import TypeAlias

from agents.wire.frames import HEADER, MAX_FRAME_SSH_BYTES
from lab.errors import RequestFailed, StoreError
from lab.transports.deadlines import deadline_after, remaining_s

from .conversation import Conversation
from .request import PATIENT, Request
from .untrusted import flag

Progress: TypeAlias = Callable[[int, int], None]
"""Bytes there and bytes in all."""

COMMIT_TIMEOUT_S = 60.0
BUSY_WAIT_S = 15.0
"""The agent of a link that was cut holds its upload until it has noticed."""

_BUSY_PAUSE_S = 0.25
_SLOWEST_DISK_BYTES_PER_S = 1_000_000
"""Resuming hashes what is there, committing writes the rest; an old SD card may take that long."""

_HEADER_BYTES = 128
"""Room for the JSON of a DATA header: a SHA-256 and an offset."""

CHUNK_BYTES = MAX_FRAME_SSH_BYTES - HEADER.size - 2 - _HEADER_BYTES


def upload(
    conversation: Conversation, path: Path, sha256: str, fence: int, *, timeout_s: float,
    progress: Progress | None = None,
) -> int:
    """Bytes sent until the device has the file: 0 if it had it.

    Raises StoreError if the file cannot be read, RequestFailed (`no_space`, `read_only`, `hash_mismatch`, `fenced` …)
    or a TransportError; after ConnectionLost the same call on a new session goes on where this one stopped.
    """
    patience_ns = deadline_after(BUSY_WAIT_S)
    while True:
        try:
            with path.open("rb", buffering=0) as file:
                return _upload(conversation, file, sha256, fence, timeout_s, progress)
        except OSError as error:
            raise StoreError(f"artifact {path} cannot be read: {error.strerror}") from None
        except RequestFailed as error:
            if error.code != "busy" or remaining_s(patience_ns) == 0:
                raise
        time.sleep(_BUSY_PAUSE_S)


def _upload(
    conversation: Conversation, file: FileIO, sha256: str, fence: int, timeout_s: float,
    progress: Progress | None,
) -> int:
    size = os.fstat(file.fileno()).st_size
    with conversation.request("put.open", {"sha256": sha256, "size": size, "fence": fence}) as request:
        disk_s = size / _SLOWEST_DISK_BYTES_PER_S
        answer = request.answer(deadline_after(timeout_s + disk_s), PATIENT)
        if flag(answer, "have"):
            return 0
        offset = answer.whole("offset", high=size)
        _send_from(request, file, sha256, offset, size, progress)
        conversation.call("put.commit", {"sha256": sha256, "fence": fence}, COMMIT_TIMEOUT_S + disk_s, PATIENT)
    return size - offset


def _send_from(
    request: Request, file: FileIO, sha256: str, offset: int, size: int, progress: Progress | None,
) -> None:
    file.seek(offset)
    while offset < size:
        body = file.read(min(CHUNK_BYTES, size - offset))
        if not body:
            raise StoreError(f"artifact {sha256}: the file became shorter while it was sent")
        request.send_data({"sha256": sha256, "offset": offset}, body)
        offset += len(body)
        if progress:
            progress(offset, size)
