"""A backup archive back into an empty home, every byte of it checked before any of it counts."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import sqlite3
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from lab.errors import StoreError

from .archive import (
    FOLDERS,
    MANIFEST_MAX_BYTES,
    MANIFEST_NAME,
    TOP_NAMES,
    Listener,
    Manifest,
    Member,
    check_whole,
    ignore_progress,
    manifest_from_bytes,
)
from .database import DATABASE_NAME, open_database
from .durable import FILE_MODE, fsync_folder, make_folder

SCRATCH_NAME = ".restoring"
_MAY_LIE_THERE = frozenset({SCRATCH_NAME, "README.md", "controller.lock", "locks", "lost+found"})
"""What a home may hold and still be empty: a checkout's note, the locks a caller holds, a new disk's own folder."""

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class RestoreReport:
    """What came back, and when it was backed up (UTC)."""

    files: int
    size_bytes: int
    created_utc: str


def restore(archive: Path, home: Path, progress: Listener = ignore_progress) -> RestoreReport:
    """Bring the lab in `archive` back as `home`, which must be absent or empty; all of it or nothing.

    Everything is unpacked beside its place, compared with the manifest and opened, then moved in with the database
    last. A process killed before leaves a home without a database, which the next restore clears. Raises StoreError
    if the archive is damaged, of a newer JouleLab, or holds what no backup writes.
    """
    is_new = not home.exists()
    try:
        make_folder(home)
        with _scratch(home) as scratch:
            _clear(home, scratch)
            _require_empty(home)
            manifest = _unpack(archive, scratch, progress)
            _check_database(archive, scratch, manifest)
            progress("moving in", 1.0)
            _sync_folders(scratch)
            _move_in(scratch, home)
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f"cannot restore {archive} into {home}: {error}; check that its disk has space and can be "
                         "written") from error
    finally:
        if is_new:
            with suppress(OSError):
                home.rmdir()  # only if nothing came into it
    return RestoreReport(files=len(manifest.files), created_utc=manifest.created_utc,
                         size_bytes=sum(member.size_bytes for member in manifest.files.values()))


@contextmanager
def _scratch(home: Path) -> Iterator[Path]:
    """A folder inside `home`, on the same disk even where `home` is a mount, held by one restore at a time."""
    scratch = home / SCRATCH_NAME
    make_folder(scratch)
    descriptor = os.open(scratch, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreError(f"another restore into {home} is under way: wait for it to end") from None
        try:
            yield scratch
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    finally:
        os.close(descriptor)


def _clear(home: Path, scratch: Path) -> None:
    """Remove what a killed restore left: what it had unpacked, and what it had moved in without a database."""
    left = list(scratch.iterdir())
    if left and not (home / DATABASE_NAME).exists():
        left += [home / name for name in TOP_NAMES if (home / name).exists()]
    for path in left:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _require_empty(home: Path) -> None:
    found = sorted({path.name for path in home.iterdir()} - _MAY_LIE_THERE)
    if found:
        listed = ", ".join(found[:6]) + (", …" if len(found) > 6 else "")
        raise StoreError(f"cannot restore into {home}: expected an empty folder, found {listed}; a restore replaces "
                         "nothing, so set LAB_HOME to a new folder, or move this one away")


def _unpack(archive: Path, scratch: Path, progress: Listener) -> Manifest:
    """The members as files under `scratch`, compared with the manifest that closes the archive."""
    found: dict[str, Member] = {}
    manifest = None
    archive_bytes = max(1, archive.stat().st_size)
    try:
        with archive.open("rb") as raw, tarfile.open(fileobj=raw, mode="r:gz") as tar:
            for info in tar:
                if manifest is not None or info.name in found:
                    raise _unsafe(archive, info.name, "it comes twice, or behind the manifest")
                _require_safe(archive, info, scratch)
                stream = tar.extractfile(info)
                if stream is None:
                    raise _unsafe(archive, info.name, "it has no content")
                if info.name == MANIFEST_NAME:
                    manifest = manifest_from_bytes(stream.read(), archive)
                else:
                    found[info.name] = _write(stream, scratch / info.name)
                progress("unpacking", min(1.0, raw.tell() / archive_bytes))
    except (tarfile.TarError, EOFError, zlib.error, UnicodeError) as error:
        raise StoreError(f"{archive} is damaged or no backup of a lab: {error}; take another one") from error
    if manifest is None:
        raise StoreError(f"{archive} is cut off, or no backup of a lab: expected {MANIFEST_NAME} at its end, found "
                         "none; take another one")
    _compare(archive, manifest, found)
    return manifest


def _require_safe(archive: Path, info: tarfile.TarInfo, scratch: Path) -> None:
    """Only plain files under the names that a backup writes: no links, no devices, no way out of the folder."""
    parts = PurePosixPath(info.name).parts
    if not info.isreg():
        raise _unsafe(archive, info.name, "it is no plain file")
    if info.name == MANIFEST_NAME:
        if info.size > MANIFEST_MAX_BYTES:
            raise _unsafe(archive, info.name, f"it has {info.size} bytes")
        return
    is_known = bool(parts) and parts[0] in TOP_NAMES and (len(parts) > 1) == (parts[0] in FOLDERS)
    if not is_known or "/".join(parts) != info.name or ".." in parts or "\0" in info.name:
        raise _unsafe(archive, info.name, "no backup has a file of that name")
    if info.size > shutil.disk_usage(scratch).free:
        raise StoreError(f"cannot restore {archive}: {info.name} has {info.size} bytes, more than are free in "
                         f"{scratch.parent}; free space there")


def _unsafe(archive: Path, name: str, why: str) -> StoreError:
    return StoreError(f"{archive} is refused because of its member {name[:200]!r}: {why}; restore only what "
                      "`lab backup` wrote")


def _write(stream: IO[bytes], path: Path) -> Member:
    make_folder(path.parent)
    whole, size_bytes = hashlib.sha256(), 0
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, FILE_MODE)
    with os.fdopen(descriptor, "wb") as file:
        while chunk := stream.read(_CHUNK_BYTES):
            whole.update(chunk)
            size_bytes += len(chunk)
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    return Member(sha256=whole.hexdigest(), size_bytes=size_bytes)


def _compare(archive: Path, manifest: Manifest, found: dict[str, Member]) -> None:
    for name in sorted(manifest.files.keys() | found.keys()):
        expected, got = manifest.files.get(name), found.get(name)
        if expected != got:
            raise StoreError(f"{archive} is damaged at {name}: expected {_said(expected)}, got {_said(got)}; take "
                             "another one")
    if DATABASE_NAME not in found:
        raise StoreError(f"{archive} is no backup of a lab: it holds no {DATABASE_NAME}")


def _said(member: Member | None) -> str:
    return "no such file" if member is None else f"{member.size_bytes} bytes of SHA-256 {member.sha256}"


def _check_database(archive: Path, scratch: Path, manifest: Manifest) -> None:
    """Open it as the lab will, which also brings an older layout up to date."""
    from .migrations import STEPS

    unknown = [name for name in manifest.layout if name not in STEPS]
    if unknown:
        raise StoreError(f"{archive} was written by a newer JouleLab: its layout has {unknown[-1]}, this one knows up "
                         f"to {list(STEPS)[-1]}; upgrade JouleLab, then restore")
    with closing(sqlite3.connect(scratch / DATABASE_NAME)) as connection:
        check_whole(connection, archive)
    open_database(scratch).close()
    for path in scratch.glob(f"{DATABASE_NAME}?*"):
        path.unlink()  # the lock of the layout's change, and SQLite's own that are empty by now


def _sync_folders(scratch: Path) -> None:
    for place, _, _ in os.walk(scratch, topdown=False):
        fsync_folder(Path(place))


def _move_in(scratch: Path, home: Path) -> None:
    """One rename each, the database last; an error takes back what was moved."""
    moved: list[str] = []
    try:
        for name in TOP_NAMES:
            if not (scratch / name).exists():
                continue
            if (home / name).exists():
                raise StoreError(f"{home / name} came into being while {home} was restored: stop what works there, "
                                 "then restore again")
            (scratch / name).rename(home / name)
            moved.append(name)
        fsync_folder(home)
    except BaseException:
        for name in reversed(moved):
            (home / name).rename(scratch / name)
        raise
