"""Files that are either whole and on disk, or not there; and what it means when a disk refuses."""

from __future__ import annotations

import errno
import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from lab.errors import DiskFull, StoreError

FILE_MODE = 0o600
FOLDER_MODE = 0o700
TEMPORARY_PREFIX = ".tmp-"
"""Names that start so were being written when a process died; nothing reads them."""

_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})
_SQLITE_NO_SPACE = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE})
"""SQLite has a code of its own for a disk that refuses the index of its log."""


def make_folder(folder: Path) -> None:
    """Create a folder (and its parents) that only its owner can enter."""
    folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)


def write_durably(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Let `write` fill a temporary file beside `path`, then fsync, rename and fsync the folder.

    A file already at `path` is replaced in one step. Whatever `write` or the disk raises comes through, and the
    temporary file is removed.
    """
    make_folder(path.parent)
    descriptor, name = tempfile.mkstemp(prefix=TEMPORARY_PREFIX, dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            write(stream)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.chmod(FILE_MODE)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    fsync_folder(path.parent)


def is_disk_full(error: BaseException) -> bool:
    """Whether a full disk is behind this error, or behind one that it was raised from."""
    return any(isinstance(each, DiskFull) or (isinstance(each, OSError) and each.errno in _NO_SPACE)
               or getattr(each, "sqlite_errorcode", None) in _SQLITE_NO_SPACE for each in _causes(error))


def disk_error(text: str, error: BaseException) -> StoreError:
    """The error to raise from `error`: StoreError with this text, or DiskFull if that is what it comes from."""
    if is_disk_full(error):
        return DiskFull(f"{text}. The disk is full: free some space there; what waits for it goes on by itself.")
    return StoreError(text)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what it was raised from or, without a `from`, raised during; each once."""
    seen: set[int] = set()
    found: BaseException | None = error
    while found is not None and id(found) not in seen:
        seen.add(id(found))
        yield found
        found = found.__cause__ or (None if found.__suppress_context__ else found.__context__)


def fsync_folder(folder: Path) -> None:
    """Make renames inside a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
