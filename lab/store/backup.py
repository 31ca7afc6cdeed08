"""The whole lab as one file, taken while a campaign goes on."""

from __future__ import annotations

import hashlib
import io
import os
import sqlite3
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO

from lab.errors import StoreError

from .archive import (
    ENGINE_NAME,
    FILES,
    MANIFEST_NAME,
    SPOOL_FOLDER,
    Listener,
    Manifest,
    Member,
    copy_database,
    ignore_progress,
    layout_of,
)
from .connection import utc_now
from .database import DATABASE_NAME
from .durable import FILE_MODE, TEMPORARY_PREFIX, make_folder, write_durably
from .named import TRACE_SUFFIX, hash_of_file, named_hashes
from .recordings import TRACES_FOLDER
from .store import ARTIFACTS_FOLDER

_COMPRESSION_LEVEL = 1
"""Most of it is compressed already; more effort would be spent beside a measurement."""

_BLOCK_MANIFEST = "manifest.json"
_REJECTED = "rejected"
_UNFINISHED = (".part", ".partial")


@dataclass(frozen=True, kw_only=True)
class BackupReport:
    """What went into the archive; `missing` are paths under LAB_HOME that lab.db names, `damaged` artifacts there."""

    files: int
    archive_bytes: int
    missing: tuple[str, ...]
    damaged: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class _Named:
    layout: tuple[str, ...]
    present: tuple[str, ...]
    missing: tuple[str, ...]


def backup(home: Path, target: Path, progress: Listener = ignore_progress) -> BackupReport:
    """Write all that cannot be made again to `target`, a .tar.gz that only its owner can read; whole or not at all.

    Campaigns may go on: the archive holds one moment of lab.db, every trace that this names, every artifact, and what
    waited in the spool and the queue before. Caches are left out. Raises StoreError if there is no lab.db, it is
    damaged, `target` exists, or the disk refuses; a missing or damaged artifact or trace is reported and keeps
    nothing else from being saved.
    """
    if not (home / DATABASE_NAME).is_file():
        raise StoreError(f"there is no lab database at {home / DATABASE_NAME}: nothing to back up; set LAB_HOME")
    if target.exists():
        raise StoreError(f"{target} exists: a backup replaces nothing; give another name, or remove it")
    try:
        make_folder(target.parent)
        with tempfile.TemporaryDirectory(prefix=TEMPORARY_PREFIX, dir=target.parent) as scratch:
            writing = _Writing(home, Path(scratch), progress)
            write_durably(target, writing.write)
        size_bytes = target.stat().st_size
    except (OSError, tarfile.TarError, sqlite3.Error) as error:
        raise StoreError(f"cannot write the backup {target}: {error}; check that its disk has space and can be "
                         "written") from error
    return BackupReport(files=len(writing.members), archive_bytes=size_bytes, missing=writing.named.missing,
                        damaged=tuple(writing.damaged))


class _Writing:
    """One archive as it grows. Its order makes what comes later include what came before.

    The queue first, the spool second, the database third: a block that moves on meanwhile is in the archive twice,
    which the lab expects after any crash, and never lost. Files that lab.db names are written before the line that
    names them and not changed after, so they come last.
    """

    def __init__(self, home: Path, scratch: Path, progress: Listener) -> None:
        self._home, self._scratch, self._progress = home, scratch, progress
        self.members: dict[str, Member] = {}
        self.damaged: list[str] = []
        self.named = _Named(layout=(), present=(), missing=())

    def write(self, stream: BinaryIO) -> None:
        """The whole archive."""
        with tarfile.open(fileobj=stream, mode="w:gz", compresslevel=_COMPRESSION_LEVEL,
                          format=tarfile.PAX_FORMAT) as tar:
            self._progress("queue and spool", 0.0)
            if (self._home / ENGINE_NAME).is_file():
                self._add_database(tar, ENGINE_NAME)
            for name in _spool_names(self._home):
                self._add(tar, name)
            self._progress("database", 0.0)
            self.named = self._add_database(tar, DATABASE_NAME)
            for name in (*FILES[1:], *_plain_names(self._home, "profiles"), *_plain_names(self._home, "workloads")):
                self._add(tar, name)
            for number, name in enumerate(self.named.present):
                self._progress(name.split("/")[0], number / len(self.named.present))
                self._add(tar, name)
            manifest = Manifest(created_utc=utc_now(), layout=self.named.layout, files=self.members).to_bytes()
            tar.addfile(_info(MANIFEST_NAME, len(manifest)), io.BytesIO(manifest))

    def _add_database(self, tar: tarfile.TarFile, name: str) -> _Named:
        copied = self._scratch / name
        copy_database(self._home / name, copied)
        self._add(tar, name, copied)
        named = _named(copied, self._home) if name == DATABASE_NAME else self.named
        copied.unlink()
        return named

    def _add(self, tar: tarfile.TarFile, name: str, source: Path | None = None) -> None:
        """One file; one that is gone by now has moved on to a part of the archive that is still to come."""
        path = source or self._home / name
        try:
            stream = path.open("rb")
        except FileNotFoundError:
            return
        with stream:
            size_bytes = os.fstat(stream.fileno()).st_size
            hashing = _Hashing(stream)
            tar.addfile(_info(name, size_bytes), hashing)
        sha256 = hashing.sha256.hexdigest()
        self.members[name] = Member(sha256=sha256, size_bytes=size_bytes)
        if name.startswith(f"{ARTIFACTS_FOLDER}/") and sha256 != path.name:
            self.damaged.append(name)


class _Hashing:
    """Reads a file for the archive and notes the hash of what was read."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.sha256 = hashlib.sha256()

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes."""
        data = self._stream.read(size)
        self.sha256.update(data)
        return data


def _info(name: str, size_bytes: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.mode = size_bytes, FILE_MODE
    return info


def _named(copied: Path, home: Path) -> _Named:
    """Traces under `home` that this copy of lab.db names, and every artifact; and what it names and nobody has.

    A block in the queue names the sample input it binds, which no line of lab.db does, and the queue may be on a
    server: so artifacts are saved whether or not they are named.
    """
    from sqlite_utils import Database

    with Database(str(copied), execute_plugins=False) as database:
        layout = layout_of(database)
        if not layout:
            raise StoreError(f"{home / DATABASE_NAME} is no lab database: nothing to back up; set LAB_HOME")
        must = {f"{ARTIFACTS_FOLDER}/{sha[:2]}/{sha}" for (sha,) in database.execute("SELECT sha256 FROM artifacts")}
        must |= {f"{TRACES_FOLDER}/{sha[:2]}/{sha}{TRACE_SUFFIX}"
                 for (sha,) in database.execute("SELECT sha256 FROM windows")}
        mentioned = named_hashes(database)
    there = {path.relative_to(home).as_posix() for path in (home / ARTIFACTS_FOLDER).glob("*/*")
             if hash_of_file(path) and path.is_file()}
    there |= {path.relative_to(home).as_posix() for path in (home / TRACES_FOLDER).glob("*/*")
              if hash_of_file(path) in mentioned and path.is_file()}
    return _Named(layout=layout, present=tuple(sorted(there)), missing=tuple(sorted(must - there)))


def _plain_names(home: Path, folder: str) -> Iterator[str]:
    """Every finished file under a folder, in order; what goes away meanwhile is left out."""
    for place, folders, files in os.walk(home / folder, onerror=_raise_unless_gone):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith(".") and not name.endswith(_UNFINISHED) and (Path(place) / name).is_file():
                yield (Path(place) / name).relative_to(home).as_posix()


def _raise_unless_gone(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


def _spool_names(home: Path) -> Iterator[str]:
    """Files of the spool: in each block the manifest last, and blocks put aside after those that may be so yet.

    A manifest is written after a block's windows and removed before them: one that is there before they are listed
    and after they are read is of a whole block.
    """
    root = home / SPOOL_FOLDER
    for parent in (root, root / _REJECTED):
        for folder in sorted(parent.glob("*")):
            if folder == root / _REJECTED:
                continue
            manifest = (folder / _BLOCK_MANIFEST).relative_to(home).as_posix()
            is_whole = (home / manifest).is_file()
            yield from (name for name in _plain_names(home, folder.relative_to(home).as_posix()) if name != manifest)
            if is_whole:
                yield manifest
