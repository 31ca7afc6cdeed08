"""Windows that were read lately, by hash: a recording never changes, and every decision reads the same ones again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

from lab.domain.recording import Int64Array, Window

BYTES_MAX = 32 * 2**20
"""Of the arrays kept, about: the controller shall stay small however much was measured."""

_WINDOW_BYTES = 8 * 1024
_Stamp: TypeAlias = tuple[int, int, int]


class WindowCache:
    """The windows used last; threads may share it. One whose file was changed or removed is read anew."""

    def __init__(self, bytes_max: int = BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._bytes = 0
        self._kept: OrderedDict[str, tuple[_Stamp, int, Window]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, sha256: str, path: Path, read: Callable[[], Window]) -> Window:
        """The window of that hash, by `read` unless it is kept and its file at `path` is what it was then."""
        stamp = _stamp(path)
        with self._lock:
            kept = self._kept.get(sha256)
            if kept is not None and kept[0] == stamp:
                self._kept.move_to_end(sha256)
                return kept[2]
            self._forget(sha256)
        window = read()
        if stamp is not None:
            self._keep(sha256, stamp, window)
        return window

    def _keep(self, sha256: str, stamp: _Stamp, window: Window) -> None:
        size_bytes = _WINDOW_BYTES + sum(array.nbytes for array in _arrays(window))
        for array in _arrays(window):
            array.flags.writeable = False  # many will see this one
        with self._lock:
            self._forget(sha256)
            self._kept[sha256] = (stamp, size_bytes, window)
            self._bytes += size_bytes
            while self._bytes > self._bytes_max:
                self._forget(next(iter(self._kept)))

    def _forget(self, sha256: str) -> None:
        kept = self._kept.pop(sha256, None)
        self._bytes -= kept[1] if kept else 0


def _stamp(path: Path) -> _Stamp | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _arrays(window: Window) -> Iterator[Int64Array]:
    yield from (window.latency_ns, window.warmup_latency_ns)
    for trace in window.traces:
        yield from (trace.t_ns, trace.raw, trace.read_span_ns)
