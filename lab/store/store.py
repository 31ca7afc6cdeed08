"""The lab's memory in one object: database, recordings and artifacts under one folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from .artifacts import ArtifactStore
from .compressions import CompressionRecords
from .connection import utc_now
from .database import open_database
from .queue import QueueRecords
from .quotas import QuotaRecords
from .recordings import RecordingRecords
from .rows import RowRecords

ARTIFACTS_FOLDER = "artifacts"


class Store(CompressionRecords, RecordingRecords, QueueRecords, QuotaRecords, RowRecords):
    """All that the lab knows. Readers open their own, in any thread or process; the controller writes.

    Use as a context manager, or call `close`. Every method raises StoreError if the database refuses.
    """

    @classmethod
    def open(cls, home: Path, *, read_only: bool = False, clock: Callable[[], str] = utc_now) -> Self:
        """The store in `home` (LAB_HOME), which is created private to its owner if need be.

        An older database is brought up to date; a newer one is refused with StoreError. With `read_only` nothing is
        created or changed, and a missing or older database is a StoreError. `clock` tells the time in UTC.
        """
        return cls(open_database(home, read_only=read_only), home, clock)

    @property
    def artifacts(self) -> ArtifactStore:
        """Model files by hash."""
        return ArtifactStore(self.home / ARTIFACTS_FOLDER)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        self.close()
