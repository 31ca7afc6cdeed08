"""Where blocks wait between the device and the database: promised, fetched, and kept until they are ingested."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lab.domain.block import BlockManifest, BlockOrder, ManifestEntry
from lab.errors import StoreError
from lab.store.durable import disk_error, fsync_folder

from .order_json import manifest_from_json, order_from_json, order_to_json


class HostSpool:
    """Folder of blocks; a window counts once its file has its final name, a block once its manifest has.

    Before a block is started its order is noted in `orders/`, so that it is collected whatever becomes of the
    controller that started it. What cannot be ingested is put aside in `rejected/`, never deleted.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def promise(self, order: BlockOrder) -> None:
        """Note that this attempt at a block is about to be started."""
        _write_durably(self._attempt_path(order.plan.block_id), str(order.plan.attempt).encode())
        _write_durably(self._order_path(order.plan.block_id), json.dumps(order_to_json(order)).encode())

    def promised(self, device: str) -> tuple[BlockOrder, ...]:
        """Orders of this device that were started and not collected, oldest name first."""
        orders = [order_from_json(json.loads(path.read_text())) for path in sorted(self._root.glob("orders/*.json"))]
        return tuple(order for order in orders if order.device == device)

    def fulfil(self, manifest: BlockManifest) -> None:
        """The block is in the database or known to be lost; nobody needs to look for it."""
        self._order_path(manifest.block_id).unlink(missing_ok=True)
        if manifest.state == "done":
            self._attempt_path(manifest.block_id).unlink(missing_ok=True)

    def next_attempt(self, block_id: str) -> int:
        """1 for a block never started; attempts that failed are counted across controllers."""
        path = self._attempt_path(block_id)
        return 1 + int(path.read_text()) if path.exists() else 1

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

    def window_file(self, block_id: str, sha256: str) -> Path:
        """Where a kept window lies."""
        return self._window_path(block_id, sha256)

    def finish(self, campaign_id: str, manifest: BlockManifest) -> None:
        """Write the manifest: from now on the block can be ingested even by another process."""
        text = json.dumps({"campaign_id": campaign_id, **asdict(manifest)}, indent=1)
        _write_durably(self._folder(manifest.block_id) / "manifest.json", text.encode())

    def manifest(self, block_id: str) -> BlockManifest | None:
        """The manifest of a fetched block that is not ingested yet."""
        path = self._folder(block_id) / "manifest.json"
        return _kept_manifest(json.loads(path.read_text()))[1] if path.exists() else None

    def reject(self, manifest: BlockManifest) -> Path:
        """Put a block aside that cannot be ingested; returns where it is."""
        target = self._root / "rejected" / f"{manifest.block_id}-{manifest.attempt}"
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        names = itertools.chain([target], (target.with_name(f"{target.name}-{n}") for n in itertools.count(2)))
        return self._folder(manifest.block_id).rename(next(name for name in names if not name.exists()))

    def waiting(self) -> Iterator[tuple[str, BlockManifest]]:
        """(campaign id, manifest) of finished blocks nobody has ingested yet."""
        for path in sorted(self._root.glob("b*/manifest.json")):
            yield _kept_manifest(json.loads(path.read_text()))

    def drop(self, manifest: BlockManifest) -> None:
        """Forget an ingested block; the manifest goes first so that a crash here repeats nothing."""
        folder = self._folder(manifest.block_id)
        (folder / "manifest.json").unlink(missing_ok=True)
        for path in folder.glob("*"):
            path.unlink(missing_ok=True)
        folder.rmdir()

    def _order_path(self, block_id: str) -> Path:
        return self._root / "orders" / f"{block_id}.json"

    def _attempt_path(self, block_id: str) -> Path:
        return self._root / "orders" / f"{block_id}.attempt"

    def _folder(self, block_id: str) -> Path:
        return self._root / block_id

    def _window_path(self, block_id: str, sha256: str) -> Path:
        return self._folder(block_id) / f"{sha256}.rec"


def _kept_manifest(data: dict[str, Any]) -> tuple[str, BlockManifest]:
    return str(data.pop("campaign_id")), manifest_from_json(data)


def _write_durably(path: Path, data: bytes) -> None:
    """The name of the half-written file never changes, so that a crash leaves one at most. Raises StoreError."""
    temporary = path.with_suffix(path.suffix + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        fsync_folder(path.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise disk_error(f"cannot write {path}: {error.strerror}", error) from error
