"""Operations that hand over finished windows."""

from __future__ import annotations

from pathlib import Path
from typing import Iterator, Tuple

from agents.errors import Refused
from agents.wire.messages import DATA_BODY_BYTES

from .base import BLOCK_ID, SHA256, Answer, Header, Services, Stream, bad_request, text, whole

MAX_ACKNOWLEDGED = 500
MAX_LISTED = 120


def list_entries(services: Services, request: Header) -> Answer:
    """`spool.list{block_id?}` → `{entries: [{block_id, cell_id, attempt, position, sha256, size}], more}`.

    `more` is true where not all fitted; acknowledge these and ask again. One attempt of a block always fits.
    """
    block_id = None if request.get("block_id") is None else text(request, "block_id", BLOCK_ID)
    entries = services.spool.entries(block_id)
    return {"entries": [entry._asdict() for entry in entries[:MAX_LISTED]], "more": len(entries) > MAX_LISTED}


def get(services: Services, request: Header) -> Answer:
    """`spool.get{sha256, offset}` → DATA `{sha256, offset}` from there on, then RES `{size, after_data: true}`."""
    sha256, offset = text(request, "sha256", SHA256), whole(request, "offset")
    path = services.spool.find(sha256)
    if path is None:
        raise Refused("not_found", f"no window {sha256} is waiting on this device")
    size_bytes = path.stat().st_size
    if offset > size_bytes:
        raise bad_request("offset", f"at most the size {size_bytes}", offset)
    return Stream(_read(path, sha256, offset), {"size": size_bytes, "after_data": True})


def acknowledge(services: Services, request: Header) -> Answer:
    """`spool.ack{sha256s, fence}` → `{removed}`: the controller has them on its own disk."""
    services.check_fence(request)
    sha256s = request.get("sha256s")
    if not isinstance(sha256s, list) or len(sha256s) > MAX_ACKNOWLEDGED:
        raise bad_request("sha256s", f"a list of at most {MAX_ACKNOWLEDGED} hashes", sha256s)
    wanted = [text({"sha256s": sha256}, "sha256s", SHA256) for sha256 in sha256s]
    return {"removed": services.spool.remove(wanted)}


def _read(path: Path, sha256: str, offset: int) -> Iterator[Tuple[Header, bytes]]:
    with path.open("rb") as file:
        file.seek(offset)
        for body in iter(lambda: file.read(DATA_BODY_BYTES), b""):
            yield {"sha256": sha256, "offset": offset}, body
            offset += len(body)
