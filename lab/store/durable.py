"""Files that are either whole and on disk, or not there."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

FILE_MODE = 0o600
FOLDER_MODE = 0o700
TEMPORARY_PREFIX = ".tmp-"
"""Names that start so were being written when a process died; nothing reads them."""


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


def fsync_folder(folder: Path) -> None:
    """Make renames inside a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
