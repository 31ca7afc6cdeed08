"""One sysfs file with one integer in it, read again and again."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from .base import Clock, Reading

MAX_BYTES = 64
_INT64 = 1 << 63
_STALE = frozenset({errno.ESPIPE, errno.ENODEV, errno.ESTALE})


class RawFile:
    """One file that holds one integer; stays open, because opening costs more than reading.

    Raises OSError where it cannot be opened. Whoever simulates such a file must write it in place: a replaced
    file would not be seen.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._seekable = True
        self._fd = os.open(path, os.O_RDONLY)

    def __del__(self) -> None:
        self.close()

    def read(self) -> Reading:
        """The number now, or the errno that came instead: ENODATA for an empty file, EBADMSG for other text."""
        before = self._clock()
        try:
            data = self._bytes()
        except OSError as error:
            return Reading(before, self._clock(), None, error.errno or errno.EIO)
        after = self._clock()
        return _reading(before, after, data)

    def close(self) -> None:
        """Give the descriptor back; idempotent."""
        fd, self._fd = getattr(self, "_fd", -1), -1
        if fd >= 0:
            os.close(fd)

    def _bytes(self) -> bytes:
        if self._seekable and self._fd >= 0:
            try:
                return os.pread(self._fd, MAX_BYTES, 0)
            except OSError as error:
                if error.errno not in _STALE:
                    raise
                self._seekable = error.errno != errno.ESPIPE
        self.close()
        self._fd = os.open(self._path, os.O_RDONLY)
        return os.read(self._fd, MAX_BYTES)


def _reading(before_ns: int, after_ns: int, data: bytes) -> Reading:
    if not data.strip():
        return Reading(before_ns, after_ns, None, errno.ENODATA)
    try:
        raw = int(data)
    except ValueError:
        return Reading(before_ns, after_ns, None, errno.EBADMSG)
    if not -_INT64 <= raw < _INT64:
        return Reading(before_ns, after_ns, None, errno.EOVERFLOW)
    return Reading(before_ns, after_ns, raw)
