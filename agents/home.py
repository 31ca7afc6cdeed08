"""The agent's folder on the device, and files in it that are whole or absent, never half."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any, Optional

DEFAULT_HOME = "~/.cache/joulelab"
_OTHERS = 0o077
_LOG_TAIL_BYTES = 4096


class AgentHome:
    """Where the agent keeps uploads, blocks and finished windows; nothing is written outside it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.blobs = path / "blobs"
        self.partial = path / "partial"
        self.blocks = path / "blocks"
        self.spool = path / "spool"
        self.state_journal = path / "state-journal.json"
        self.facts = path / "facts.json"
        self.block_lock = path / "block.lock"

    def create(self) -> None:
        """Make the folders, and close a home that others can read; raises OSError."""
        for folder in (self.path, self.blobs, self.partial, self.blocks, self.spool):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        mode = stat.S_IMODE(self.path.stat().st_mode)
        if mode & _OTHERS:
            self.path.chmod(mode & ~_OTHERS)

    def blob(self, sha256: str) -> Path:
        """Where an uploaded file of that hash is or would be."""
        return self.blobs / sha256

    def block(self, block_id: str) -> Path:
        """The folder of one block."""
        return self.blocks / block_id


def write_atomic(path: Path, data: bytes) -> None:
    """Replace a file so that a crash leaves the old or the new one; it is on disk when this returns."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.rename(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_json(path: Path, value: Any) -> None:
    """Replace a file by JSON, atomically."""
    write_atomic(path, json.dumps(value, separators=(",", ":")).encode())


def read_json(path: Path) -> Optional[Any]:
    """The JSON in a file, or None if there is no such file or it holds none."""
    try:
        return json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValueError, RecursionError):
        return None


def sync_folder(path: Path) -> None:
    """Put a rename or an unlink in this folder on disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def last_line(path: Path, start_bytes: int = 0) -> str:
    """The last line of a log from `start_bytes` on, bounded; empty if there is none."""
    with path.open("rb") as file:
        size_bytes = file.seek(0, os.SEEK_END)
        file.seek(max(start_bytes, size_bytes - _LOG_TAIL_BYTES))
        lines = file.read().decode("utf-8", "replace").strip().splitlines()
    return lines[-1].strip()[:500] if lines else ""
