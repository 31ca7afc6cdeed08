"""Which worker of an agent has a window open, and how much processor time it has used."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

_FINAL_STATES = frozenset({"done", "failed", "cancelled"})
_CPUCLOCK_SCHED = 2


class WorkerTimes:
    """Processor time of an agent's workers between one call and the next.

    A worker counts from when it is first seen, so that time it used before is not taken for one period's.
    """

    def __init__(self, agent_home: Path, cpu_ns: Callable[[int], int | None] | None = None) -> None:
        self._blocks = agent_home / "blocks"
        self._cpu_ns = cpu_ns or process_cpu_ns
        self._last: dict[tuple[Path, int], int] = {}

    def spent_ns(self) -> int:
        """Processor time used since the last call, threads included; 0 while no window is open."""
        spent_ns = 0
        now: dict[tuple[Path, int], int] = {}
        for folder, pid in _open_windows(self._blocks):
            key = (folder, pid)
            if key not in self._last and not is_running(folder):
                continue  # left behind by a block that was killed: the number may be another process's by now
            used_ns = self._cpu_ns(pid)
            if used_ns is not None:
                spent_ns += max(0, used_ns - self._last.get(key, used_ns))
                now[key] = used_ns
        self._last = now
        return spent_ns


def process_cpu_ns(pid: int) -> int | None:
    """Processor time of a process with all its threads, ended ones too; None if there is no such process.

    The figure in /proc/PID/stat, but in nanoseconds: its clock id is what clock_getcpuclockid(3) makes of the pid.
    """
    try:
        return time.clock_gettime_ns((~pid << 3) | _CPUCLOCK_SCHED)
    except (OSError, OverflowError):
        return None


def any_block_running(agent_home: Path) -> bool:
    """True while some block of this agent is measuring, with or without a supervisor."""
    return any(is_running(folder) for folder in _folders(agent_home / "blocks"))


def is_running(folder: Path) -> bool:
    """True if the block in this folder has no final status and its process, named by `block.pid`, is there."""
    pid = _number(folder / "block.pid")
    if pid is None or _state(folder) in _FINAL_STATES:
        return False
    try:
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return folder.name.encode() in arguments


def _open_windows(blocks: Path) -> Iterator[tuple[Path, int]]:
    for folder in _folders(blocks):
        pid = _number(folder / "worker.pid")
        if pid is not None:
            yield folder, pid


def _folders(blocks: Path) -> list[Path]:
    try:
        return list(blocks.iterdir())
    except OSError:
        return []


def _number(path: Path) -> int | None:
    try:
        text = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return int(text) if text.isdigit() and len(text) <= 10 else None


def _state(folder: Path) -> str | None:
    try:
        status = json.loads((folder / "status.json").read_bytes())
    except (OSError, ValueError):
        return None
    state = status.get("state") if isinstance(status, dict) else None
    return state if isinstance(state, str) else None
