"""Opens the database file: private, in WAL mode, migrated to today's layout or refused."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from lab.errors import StoreError

from .durable import FILE_MODE, FOLDER_MODE, disk_error, make_folder

if TYPE_CHECKING:
    from sqlite_utils import Database

DATABASE_NAME = "lab.db"
LOCK_NAME = "lab.db.migrating"
BUSY_TIMEOUT_S = 30.0

Steps: TypeAlias = "Mapping[str, Callable[[Database], None]]"


def open_database(home: Path, *, read_only: bool = False, steps: Steps | None = None) -> Database:
    """The database in `home`, created if need be, at the layout of `steps` (today's, unless a test says otherwise).

    Raises StoreError if it is of a newer layout or no database; with `read_only` also if it is absent or of an
    older one. A reader creates no file but SQLite's own beside the database.
    """
    if steps is None:
        from .migrations import STEPS

        steps = STEPS
    path = home / DATABASE_NAME
    try:
        if read_only:
            _require(path)
        else:
            _create_private(path)
        database = _connect(path, read_only=read_only)
        try:
            _bring_up_to_date(database, path, steps, read_only=read_only)
        except BaseException:
            database.close()
            raise
    except (OSError, sqlite3.Error) as error:
        raise disk_error(f"cannot open {path}: {error}; check that it is a JouleLab database and that "
                         "its folder may be written", error) from error
    return database


def _require(path: Path) -> None:
    if not path.is_file():
        raise StoreError(f"there is no lab database at {path}: expected lab.db, found none; `lab run` and "
                         "`lab devices add` create it")


def _create_private(path: Path) -> None:
    make_folder(path.parent)
    folder = path.parent.stat()
    is_shared = bool(folder.st_mode & stat.S_ISVTX)
    if folder.st_uid == os.getuid() and not is_shared and stat.S_IMODE(folder.st_mode) != FOLDER_MODE:
        path.parent.chmod(FOLDER_MODE)
    if not path.exists():
        # Only ever opened here when absent: closing a second handle on a live SQLite file would drop its locks.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, FILE_MODE))


def _connect(path: Path, *, read_only: bool) -> Database:
    from sqlite_utils import Database

    uri = f"{path.resolve().as_uri()}?mode={'ro' if read_only else 'rw'}"
    connection = sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT_S, check_same_thread=False)
    try:
        database = Database(connection, execute_plugins=False)
        database.execute("PRAGMA foreign_keys = ON")
        # A device forgets a window once it is acknowledged, so a commit must be on disk when it returns.
        database.execute("PRAGMA synchronous = FULL")
    except BaseException:
        connection.close()
        raise
    return database


def _bring_up_to_date(database: Database, path: Path, steps: Steps, *, read_only: bool) -> None:
    from .migrations import migrations_of

    migrations = migrations_of(steps)
    unknown = [applied.name for applied in migrations.applied(database) if applied.name not in steps]
    if unknown:
        raise StoreError(f"{path} was written by a newer JouleLab: its layout has {unknown[-1]}, this one knows "
                         f"up to {list(steps)[-1]}; upgrade JouleLab, or use another LAB_HOME")
    is_behind = bool(migrations.pending(database))
    if read_only and is_behind:
        raise StoreError(f"{path} has an older layout that only a command that writes can bring up to date; "
                         "`lab devices list` does")
    if read_only or (not is_behind and database.journal_mode == "wal"):
        return
    with _migrating(path.parent):
        database.enable_wal()
        migrations.apply(database)  # asks again what is pending, now that no other process can change it


@contextmanager
def _migrating(home: Path) -> Iterator[None]:
    descriptor = os.open(home / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
