"""Finished windows on disk until the controller has acknowledged them."""

from __future__ import annotations

import hashlib
import json
import re
import struct
from pathlib import Path
from typing import Dict, Iterable, List, NamedTuple, Optional, Tuple

from agents.home import AgentHome, sync_folder, write_atomic
from agents.wire.recording import MAGIC, MAX_HEADER_BYTES

_NAME = re.compile(r"([0-9]+)-([0-9]+)\.rec")
_LENGTH = struct.Struct("<I")
_READ_BYTES = 1024 * 1024


class SpoolEntry(NamedTuple):
    """One recording waiting to be fetched; `cell_id` is None for an idle."""

    block_id: str
    cell_id: Optional[str]
    attempt: int
    position: int
    sha256: str
    size: int


class Spool:
    """The windows of all blocks; hashes are remembered, so that listing again costs nothing."""

    def __init__(self, home: AgentHome) -> None:
        self._root = home.spool
        self._known: Dict[Tuple[str, int, int], SpoolEntry] = {}

    def add(self, block_id: str, attempt: int, position: int, data: bytes) -> Path:
        """Keep one recording; it is on disk when this returns. Raises OSError."""
        folder = self._root / block_id
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = folder / f"{attempt}-{position}.rec"
        write_atomic(path, data)
        sync_folder(self._root)
        return path

    def entries(self, block_id: Optional[str] = None) -> List[SpoolEntry]:
        """What is there, by block, attempt and position."""
        entries = [entry for _, entry in self._walk(block_id)]
        return sorted(entries, key=lambda entry: (entry.block_id, entry.attempt, entry.position))

    def find(self, sha256: str) -> Optional[Path]:
        """The file with that content, or None."""
        return next((path for path, entry in self._walk(None) if entry.sha256 == sha256), None)

    def remove(self, sha256s: Iterable[str]) -> int:
        """Delete acknowledged windows; how many were there. Raises OSError."""
        wanted = set(sha256s)
        paths = [path for path, entry in self._walk(None) if entry.sha256 in wanted]
        for path in paths:
            path.unlink()
        for folder in {path.parent for path in paths}:
            if not any(folder.iterdir()):
                folder.rmdir()
        return len(paths)

    def holds(self, block_id: str) -> bool:
        """Is anything of this block still waiting?"""
        return any((self._root / block_id).glob("*.rec"))

    def _walk(self, block_id: Optional[str]) -> List[Tuple[Path, SpoolEntry]]:
        pattern = "*/*.rec" if block_id is None else f"{block_id}/*.rec"
        found = []
        for path in self._root.glob(pattern):
            match = _NAME.fullmatch(path.name)
            if match:
                found.append((path, self._entry(path, int(match[1]), int(match[2]))))
        return found

    def _entry(self, path: Path, attempt: int, position: int) -> SpoolEntry:
        stat = path.stat()
        key = (str(path), stat.st_size, stat.st_mtime_ns)
        if key not in self._known:
            sha256, cell_id = _read(path)
            self._known[key] = SpoolEntry(path.parent.name, cell_id, attempt, position, sha256, stat.st_size)
        return self._known[key]


def _read(path: Path) -> Tuple[str, Optional[str]]:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        start = file.read(len(MAGIC) + _LENGTH.size)
        digest.update(start)
        size = _LENGTH.unpack_from(start, len(MAGIC))[0] if len(start) == len(MAGIC) + _LENGTH.size else 0
        header = file.read(min(size, MAX_HEADER_BYTES))
        digest.update(header)
        for chunk in iter(lambda: file.read(_READ_BYTES), b""):
            digest.update(chunk)
    return digest.hexdigest(), _cell_id(header)


def _cell_id(header: bytes) -> Optional[str]:
    try:
        cell_id = json.loads(header).get("cell_id")
    except (ValueError, AttributeError):
        return None  # the controller checks the whole file and says what is wrong with it
    return None if cell_id is None else str(cell_id)
