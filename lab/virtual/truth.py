"""What really happened on a virtual board, as a table: no sensor's period or rounding lies between."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from .physics import BoardState

HEADER = "t_ns,elapsed_ns,cpu_ns,energy_j,temperature_c,clock_hz\n"
MAX_BYTES = 32 * 1024 * 1024
_LAST_ROW_BYTES = 512


class Truth(NamedTuple):
    """One row: the state at an instant of this host's CLOCK_MONOTONIC, and the exact energy since the start."""

    t_ns: int
    state: BoardState
    energy_j: float


class TruthLog:
    """Appends rows to a file; a full file becomes `<name>.1` and a new one begins, so two at most are kept."""

    def __init__(self, path: Path, max_bytes: int = MAX_BYTES) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._open()

    def append(self, row: Truth) -> None:
        """Write one row; a reader sees whole rows only, but for the last."""
        state = row.state
        line = (f"{row.t_ns},{state.elapsed_ns},{state.cpu_ns},{row.energy_j!r},{state.temperature_c!r},"
                f"{state.clock_hz}\n").encode("ascii")
        os.write(self._fd, line)
        self._size_bytes += len(line)
        if self._size_bytes > self._max_bytes:
            self.close()
            self._path.replace(self._path.with_name(f"{self._path.name}.1"))
            self._open()
            self.append(row)

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)

    def _open(self) -> None:
        self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        self._size_bytes = _whole_bytes(self._fd)
        os.ftruncate(self._fd, self._size_bytes)
        if self._size_bytes == 0:
            self._size_bytes = os.write(self._fd, HEADER.encode("ascii"))


def _whole_bytes(descriptor: int) -> int:
    """Size without the half row that a crash may have left: completed by the next row it would look like one."""
    size = os.fstat(descriptor).st_size
    start = max(0, size - _LAST_ROW_BYTES)
    tail = os.pread(descriptor, _LAST_ROW_BYTES, start)
    return start + tail.rfind(b"\n") + 1


def read_truth(path: Path) -> tuple[Truth, ...]:
    """Every whole row of a file, oldest first; none if it does not exist."""
    return tuple(row for line in _lines(path, 0) if (row := _parsed(line)) is not None)


def last_truth(path: Path) -> Truth | None:
    """The last whole row, or None."""
    try:
        start = max(0, path.stat().st_size - _LAST_ROW_BYTES)
    except OSError:
        return None
    lines = _lines(path, start)
    rows = [row for line in lines[1 if start else 0:] if (row := _parsed(line)) is not None]
    return rows[-1] if rows else None


def _lines(path: Path, start: int) -> list[str]:
    try:
        with path.open("rb") as file:
            file.seek(start)
            text = file.read().decode("ascii", "replace")
    except OSError:
        return []
    return text.splitlines(keepends=True)


def _parsed(line: str) -> Truth | None:
    parts = line.split(",")
    if not line.endswith("\n") or len(parts) != HEADER.count(",") + 1:
        return None
    try:
        t_ns, elapsed_ns, cpu_ns, clock_hz = (int(parts[index]) for index in (0, 1, 2, 5))
        energy_j, temperature_c = float(parts[3]), float(parts[4])
    except ValueError:
        return None
    state = BoardState(elapsed_ns=elapsed_ns, cpu_ns=cpu_ns, temperature_c=temperature_c, clock_hz=clock_hz)
    return Truth(t_ns, state, energy_j)
