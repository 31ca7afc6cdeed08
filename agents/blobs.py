"""Uploads on the device, named by their hash; one that was cut off goes on where it stopped."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
from pathlib import Path
from typing import Callable, Optional

from agents.errors import Refused, refused_by_system
from agents.home import AgentHome, sync_folder, write_atomic

RESERVE_BYTES = 16 * 1024 * 1024
"""Free space an upload must leave for windows and logs."""

SYNC_BYTES = 8 * 1024 * 1024
"""How much may be lost when the agent is killed in an upload."""

_READ_BYTES = 1024 * 1024


def free_bytes(folder: Path) -> int:
    """Bytes this user may still write there; raises OSError."""
    return shutil.disk_usage(folder).free


class BlobStore:
    """Finished uploads, and the way to a new one."""

    def __init__(self, home: AgentHome, free: Callable[[Path], int] = free_bytes) -> None:
        self._home = home
        self._free = free

    def has(self, sha256: str, size_bytes: Optional[int] = None) -> bool:
        """Is this file here? Its content was checked when it came."""
        try:
            found_bytes = self._home.blob(sha256).stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            return False
        return size_bytes is None or found_bytes == size_bytes

    def open(self, sha256: str, size_bytes: int) -> Upload:
        """Begin or resume an upload; raises Refused (no_space, busy) or OSError."""
        self._home.create()
        upload = Upload(self._home, sha256, size_bytes)
        missing_bytes = size_bytes - upload.offset_bytes
        available_bytes = self._free(self._home.partial)
        if missing_bytes + RESERVE_BYTES > available_bytes:
            upload.close()
            raise Refused("no_space", f"upload needs {missing_bytes} bytes plus {RESERVE_BYTES} in reserve, but "
                                      f"{self._home.path} has {available_bytes} free; free some, or choose another "
                                      "agent home")
        return upload


class Upload:
    """One upload in progress: bytes in order, hashed while they are written.

    The offset that is safely on disk stands in `partial/<sha256>.offset`; after a crash the rest is thrown away.
    """

    def __init__(self, home: AgentHome, sha256: str, size_bytes: int) -> None:
        self._home = home
        self._sha256 = sha256
        self._size_bytes = size_bytes
        self._path = home.partial / sha256
        self._journal = home.partial / f"{sha256}.offset"
        self._failure: Optional[Refused] = None
        self._hash = hashlib.sha256()
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        self.offset_bytes = 0
        try:
            self._resume()
        except BaseException:
            os.close(self._file)
            raise
        self._synced_bytes = self.offset_bytes

    def _resume(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise
            raise Refused("busy", f"another session is uploading {self._sha256}", retryable=True) from None
        try:
            promised_bytes = int(self._journal.read_bytes())
        except (FileNotFoundError, ValueError):
            promised_bytes = 0
        safe_bytes = min(promised_bytes, os.fstat(self._file).st_size, self._size_bytes)
        os.ftruncate(self._file, safe_bytes)
        while self.offset_bytes < safe_bytes:
            data = os.read(self._file, min(_READ_BYTES, safe_bytes - self.offset_bytes))
            if not data:
                break
            self._hash.update(data)
            self.offset_bytes += len(data)

    def write(self, offset_bytes: int, data: bytes) -> Optional[Refused]:
        """Take the next bytes; the first failure is returned once and raised again by `commit`."""
        if self._failure is not None:
            return None
        end_bytes = offset_bytes + len(data)
        if offset_bytes != self.offset_bytes or end_bytes > self._size_bytes:
            self._failure = Refused("short", f"upload {self._sha256}: got bytes {offset_bytes}–{end_bytes} of "
                                             f"{self._size_bytes}, expected them from {self.offset_bytes} on; "
                                             "open the upload again")
            return self._failure
        try:
            self._append(data)
        except OSError as error:
            self._failure = refused_by_system(error)
        return self._failure

    def _append(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            written = os.write(self._file, view)
            self._hash.update(view[:written])
            self.offset_bytes += written
            view = view[written:]
        if self.offset_bytes - self._synced_bytes >= SYNC_BYTES:
            self._sync()

    def _sync(self) -> None:
        os.fsync(self._file)
        write_atomic(self._journal, str(self.offset_bytes).encode())
        self._synced_bytes = self.offset_bytes

    def commit(self) -> None:
        """Check and keep the file; raises Refused (short, hash_mismatch, no_space, read_only) or OSError."""
        if self._failure is not None:
            raise self._failure
        if self.offset_bytes != self._size_bytes:
            raise Refused("short", f"upload {self._sha256}: {self.offset_bytes} of {self._size_bytes} bytes came; "
                                   "open it again to send the rest", retryable=True, offset=self.offset_bytes)
        found = self._hash.hexdigest()
        if found != self._sha256:
            self._path.unlink()
            self._journal.unlink(missing_ok=True)
            raise Refused("hash_mismatch", f"upload {self._sha256}: the bytes that came hash to {found}; they were "
                                           "thrown away, send the file again", retryable=True)
        os.fsync(self._file)
        os.rename(self._path, self._home.blob(self._sha256))
        sync_folder(self._home.blobs)
        self._journal.unlink(missing_ok=True)

    def close(self) -> None:
        """Let go; what came so far can be resumed."""
        if self._file < 0:
            return
        try:
            if self._path.exists() and self.offset_bytes > self._synced_bytes:
                self._sync()
        except OSError:
            pass  # then less can be resumed, and the next upload sees the same trouble and reports it
        os.close(self._file)
        self._file = -1
