"""Where windows wait between the device and the database: on disk, complete, until they are ingested."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lab.domain.block import BlockManifest, ManifestEntry
from lab.errors import StoreError


class HostSpool:
    """Folder of blocks; a window counts once its file has its final name, a block once its manifest has."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def keep(self, block_id: str, entry: ManifestEntry, data: bytes) -> None:
        """Put one window on disk; after this the device may forget it."""
        if hashlib.sha256(data).hexdigest() != entry.sha256:
            raise StoreError(f"Window {entry.position} of block {block_id} does not have its announced hash.")
        _write_durably(self._window_path(block_id, entry.sha256), data)

    def read(self, block_id: str, entry: ManifestEntry) -> bytes:
        """A kept window; raises StoreError if it is gone or was changed."""
        path = self._window_path(block_id, entry.sha256)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise StoreError(f"Window file {path} cannot be read: {error.strerror}.") from error
        if hashlib.sha256(data).hexdigest() != entry.sha256:
            raise StoreError(f"Window file {path} was changed on disk; it is not used.")
        return data

    def finish(self, campaign_id: str, manifest: BlockManifest) -> None:
        """Write the manifest: from now on the block can be ingested even by another process."""
        text = json.dumps({"campaign_id": campaign_id, **asdict(manifest)}, indent=1)
        _write_durably(self._folder(manifest.block_id) / "manifest.json", text.encode())

    def waiting(self) -> Iterator[tuple[str, BlockManifest]]:
        """(campaign id, manifest) of finished blocks nobody has ingested yet."""
        for path in sorted(self._root.glob("*/manifest.json")):
            yield _manifest_from(json.loads(path.read_text()))

    def drop(self, manifest: BlockManifest) -> None:
        """Forget an ingested block; the manifest goes first so that a crash here repeats nothing."""
        folder = self._folder(manifest.block_id)
        (folder / "manifest.json").unlink(missing_ok=True)
        for path in folder.glob("*"):
            path.unlink(missing_ok=True)
        folder.rmdir()

    def _folder(self, block_id: str) -> Path:
        return self._root / block_id

    def _window_path(self, block_id: str, sha256: str) -> Path:
        return self._folder(block_id) / f"{sha256}.rec"


def _manifest_from(data: dict[str, Any]) -> tuple[str, BlockManifest]:
    campaign_id = str(data.pop("campaign_id"))
    entries = tuple(ManifestEntry(**entry) for entry in data.pop("entries"))
    return campaign_id, BlockManifest(**data, entries=entries)


def _write_durably(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_suffix(path.suffix + ".part")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
