"""Operations that bring files onto the device."""

from __future__ import annotations

from typing import Optional

from agents.errors import Refused

from .base import SHA256, Answer, Header, Services, text, whole


def open_put(services: Services, request: Header) -> Answer:
    """`put.open{sha256, size, fence}` → `{have: true}` or `{have: false, offset}`: where DATA should go on."""
    services.check_fence(request)
    sha256, size_bytes = text(request, "sha256", SHA256), whole(request, "size")
    if services.blobs.has(sha256, size_bytes):
        return {"have": True}
    _close(services, sha256)
    upload = services.blobs.open(sha256, size_bytes)
    services.uploads[sha256] = upload
    return {"have": False, "offset": upload.offset_bytes}


def take_data(services: Services, header: Header, body: bytes) -> Optional[Refused]:
    """One DATA message; not answered unless it is the first that cannot be taken. `put.commit` says it again."""
    upload = services.uploads.get(str(header.get("sha256")))
    offset = header.get("offset")
    return None if upload is None else upload.write(offset if isinstance(offset, int) else -1, body)


def commit_put(services: Services, request: Header) -> Answer:
    """`put.commit{sha256, fence}` → `{}`, or ERR hash_mismatch, short, no_space, read_only; again is harmless."""
    services.check_fence(request)
    sha256 = text(request, "sha256", SHA256)
    upload = services.uploads.get(sha256)
    if upload is None:
        if services.blobs.has(sha256):
            return {}
        raise Refused("short", f"upload {sha256} is not open in this session; open it again", retryable=True)
    try:
        upload.commit()
    finally:
        _close(services, sha256)
    return {}


def _close(services: Services, sha256: str) -> None:
    upload = services.uploads.pop(sha256, None)
    if upload is not None:
        upload.close()
