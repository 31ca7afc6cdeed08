"""Gives disk space back: artifacts and traces that nothing in the database names."""

from __future__ import annotations

import sqlite3
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lab.errors import ConfigError, StoreError

from .database import open_database
from .durable import TEMPORARY_PREFIX
from .named import hash_of_file, named_hashes
from .recordings import TRACES_FOLDER
from .store import ARTIFACTS_FOLDER

_OPEN = "SELECT name FROM campaigns WHERE state NOT IN ('done', 'partial', 'failed', 'cancelled') ORDER BY name"
KEEP_DAYS = 7.0
KEEP_DAYS_MIN = 1.0
"""A file is on disk before the line that names it; a step that computes for hours may come in between."""

_DAY_S = 24 * 3600.0


@dataclass(frozen=True, kw_only=True)
class Collected:
    """What was removed, or would be: paths relative to LAB_HOME, and their size.

    `kept_for` are the unfinished campaigns for whose sake no artifact goes.
    """

    artifacts: tuple[str, ...]
    traces: tuple[str, ...]
    half_written: tuple[str, ...]
    freed_bytes: int
    kept_for: tuple[str, ...]
    is_dry_run: bool


def gc(home: Path, *, dry_run: bool, keep_days: float = KEEP_DAYS, clock: Callable[[], float] = time.time
       ) -> Collected:
    """Remove artifacts and traces that no line of lab.db names and that are older than `keep_days` days.

    Whole artifacts stay while any campaign is unfinished: a block in the queue names the sample input it binds, which
    no line does. Nothing else in LAB_HOME is touched: not the spool, whose blocks are not in lab.db yet, nor caches.
    The caller sees to it that nobody writes to lab.db meanwhile: a file left by a process that was killed, and taken
    over by the next one, could go in between. Raises ConfigError for too few days, StoreError if there is no lab.db
    (a worker's home has none, and all its files would go) or the disk refuses.
    """
    if keep_days < KEEP_DAYS_MIN:
        raise ConfigError(f"--keep-days: expected at least {KEEP_DAYS_MIN:g}, got {keep_days:g}: files are written "
                          "before the database names them")
    before_s = clock() - keep_days * _DAY_S
    try:
        old = {folder: list(_old_files(home / folder, before_s)) for folder in (ARTIFACTS_FOLDER, TRACES_FOLDER)}
        with open_database(home, read_only=True) as database:
            named = named_hashes(database)  # after the listing: what got its line since is among them
            kept_for = tuple(str(name) for (name,) in database.execute(_OPEN))
        unnamed = {folder: [path for path in paths if hash_of_file(path) not in named]
                   for folder, paths in old.items()}
        if kept_for:
            unnamed[ARTIFACTS_FOLDER] = [path for path in unnamed[ARTIFACTS_FOLDER] if hash_of_file(path) is None]
        freed_bytes = sum(_remove(path, dry_run=dry_run) for paths in unnamed.values() for path in paths)
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f"cannot collect what is not needed in {home}: {error}; what is gone was not needed, so the "
                         "same command goes on from there") from error
    return Collected(artifacts=_names(home, unnamed[ARTIFACTS_FOLDER]), traces=_names(home, unnamed[TRACES_FOLDER]),
                     half_written=_names(home, [*unnamed[ARTIFACTS_FOLDER], *unnamed[TRACES_FOLDER]], whole=False),
                     freed_bytes=freed_bytes, kept_for=kept_for, is_dry_run=dry_run)


def _old_files(root: Path, before_s: float) -> Iterator[Path]:
    """Files that the stores write, and what they left half written; others are somebody else's."""
    for path in sorted(root.glob("*/*")):
        if path.parent.is_symlink() or not (hash_of_file(path) or path.name.startswith(TEMPORARY_PREFIX)):
            continue
        with suppress(FileNotFoundError):
            status = path.lstat()
            if stat.S_ISREG(status.st_mode) and status.st_mtime < before_s:
                yield path


def _remove(path: Path, *, dry_run: bool) -> int:
    try:
        size_bytes = path.lstat().st_size
        if not dry_run:
            path.unlink()
    except FileNotFoundError:
        return 0
    return size_bytes


def _names(home: Path, paths: list[Path], *, whole: bool = True) -> tuple[str, ...]:
    return tuple(str(path.relative_to(home)) for path in paths if (hash_of_file(path) is not None) == whole)
