"""What a backup archive holds: a tar.gz of plain files under known names, and last a manifest of their SHA-256s."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from lab.errors import StoreError

from .database import BUSY_TIMEOUT_S, DATABASE_NAME
from .recordings import TRACES_FOLDER
from .store import ARTIFACTS_FOLDER

if TYPE_CHECKING:
    from sqlite_utils import Database

FORMAT = 1
MANIFEST_NAME = "manifest.json"
MANIFEST_MAX_BYTES = 256 * 1024 * 1024
ENGINE_NAME = "engine.db"
SPOOL_FOLDER = "spool"
FILES = (ENGINE_NAME, "known_hosts", "home-id")
FOLDERS = (ARTIFACTS_FOLDER, TRACES_FOLDER, SPOOL_FOLDER, "profiles", "workloads")
TOP_NAMES = (*FOLDERS, *FILES, DATABASE_NAME)
"""What a home consists of, in the order in which it comes to be: the database last, since with it a home counts."""

Listener: TypeAlias = Callable[[str, float], None]
"""Called with what is done now, and which fraction of it all is behind us."""


def ignore_progress(_text: str, _fraction: float) -> None:
    """For those who only wait."""


@dataclass(frozen=True, kw_only=True)
class Member:
    """One file of an archive."""

    sha256: str
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What an archive holds, when it was made, and which steps its database's layout consists of."""

    created_utc: str
    layout: tuple[str, ...]
    files: Mapping[str, Member]

    def to_bytes(self) -> bytes:
        """JSON text."""
        files = {name: {"sha256": member.sha256, "size_bytes": member.size_bytes}
                 for name, member in self.files.items()}
        return json.dumps({"format": FORMAT, "created_utc": self.created_utc, "layout": list(self.layout),
                           "files": files}, indent=1, sort_keys=True).encode()


def manifest_from_bytes(data: bytes, archive: Path) -> Manifest:
    """The manifest of an archive; raises StoreError if it is not one, or of a newer format."""
    try:
        found: Any = json.loads(data)
        if int(found["format"]) > FORMAT:
            raise StoreError(f"{archive} was written by a newer JouleLab: expected format {FORMAT} at most, got "
                             f"{found['format']}; upgrade JouleLab")
        files = {str(name): Member(sha256=str(member["sha256"]), size_bytes=int(member["size_bytes"]))
                 for name, member in found["files"].items()}
        return Manifest(created_utc=str(found["created_utc"]), layout=tuple(map(str, found["layout"])), files=files)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise StoreError(f"{archive} is no backup of a lab: its {MANIFEST_NAME} cannot be read: {error!r}") from None


def copy_database(source: Path, target: Path) -> None:
    """Today's state of a live SQLite file as a file of its own; writers go on meanwhile. Raises StoreError."""
    uri = f"{source.resolve().as_uri()}?mode=ro"
    try:
        with (closing(sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT_S)) as live,
              closing(sqlite3.connect(target, timeout=BUSY_TIMEOUT_S)) as copy):
            live.backup(copy)  # all pages in one step: one state, whatever is written meanwhile
            copy.execute("PRAGMA journal_mode = DELETE")  # one file, without a log beside it
            check_whole(copy, source)
    except sqlite3.Error as error:
        raise StoreError(f"cannot copy {source}: {error}; check that it can be read and that there is space at "
                         f"{target.parent}") from error


def check_whole(connection: sqlite3.Connection, where: Path) -> None:
    """Raise StoreError if SQLite finds the database damaged."""
    try:
        (said,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        said = str(error)
    if said != "ok":
        raise StoreError(f"{where} is damaged: {said}; an earlier backup may hold it whole")


def layout_of(database: Database) -> tuple[str, ...]:
    """Names of the steps that a database's layout consists of."""
    from .migrations import STEPS, migrations_of

    return tuple(applied.name for applied in migrations_of(STEPS).applied(database))
