"""Model files and other blobs, each named by the SHA-256 of its content."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from lab.errors import StoreError

from .durable import disk_error, write_durably

_SHA256 = re.compile(r"[0-9a-f]{64}")


class ArtifactStore:
    """Files under `root`, addressed by content; safe to use from several processes at once.

    Nothing is created until the first `add_bytes`, so that a reader leaves no trace. Adding what is there already
    costs one read and changes nothing; a stored file that no longer matches its name is replaced.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def add_bytes(self, data: bytes) -> str:
        """Keep these bytes and return their SHA-256; raises StoreError if the disk refuses."""
        sha256 = hashlib.sha256(data).hexdigest()
        if not self._holds_whole(sha256):
            self._write(sha256, data)
        return sha256

    def has(self, sha256: str) -> bool:
        """Whether a file of this name is stored."""
        return self.place(sha256).is_file()

    def path(self, sha256: str) -> Path:
        """Where the artifact lies; raises StoreError if it is not stored."""
        place = self.place(sha256)
        if not place.is_file():
            raise StoreError(f"artifact {sha256} is not in {self.root}: compress its technique again")
        return place

    def verify(self, sha256: str) -> None:
        """Raise StoreError if the stored content no longer has this SHA-256."""
        got = _sha256_of(self.path(sha256))
        if got != sha256:
            raise StoreError(f"artifact {sha256} in {self.root} is damaged: its content has SHA-256 {got}; "
                             "delete the file and compress its technique again")

    def _holds_whole(self, sha256: str) -> bool:
        place = self.place(sha256)
        return place.is_file() and _sha256_of(place) == sha256

    def place(self, sha256: str) -> Path:
        """Where an artifact of this name belongs, stored or not; raises StoreError for what is no SHA-256."""
        if not _SHA256.fullmatch(sha256):
            raise StoreError(f"artifact name {sha256[:80]!r} is not a SHA-256: expected 64 hex digits, lower case")
        return self.root / sha256[:2] / sha256

    def _write(self, sha256: str, data: bytes) -> None:
        try:
            write_durably(self.place(sha256), lambda stream: stream.write(data))
        except OSError as error:
            raise disk_error(f"cannot write artifact {sha256} into {self.root}: {error}", error) from error


def _sha256_of(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
