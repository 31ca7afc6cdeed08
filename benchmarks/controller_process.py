"""A controller in a process of its own, and what it takes: processor time and memory, as Linux tells them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

_END_S = 20
_MIB_KIB = 1024


@contextlib.contextmanager
def controller(home: Path) -> Iterator[int]:
    """The process of `lab worker` in a home of its own; its process id."""
    environment = {**os.environ, "LAB_HOME": str(home)}
    line = [sys.executable, "-m", "lab.cli.main", "worker"]
    with (home / "controller.log").open("wb") as log:
        process = subprocess.Popen(line, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield process.pid
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def cpu_ratio(pid: int, length_s: float) -> float:
    """Processor seconds of the process per second, over so many seconds."""
    begun_s, before_s = time.monotonic(), _cpu_s(pid)
    time.sleep(length_s)
    return (_cpu_s(pid) - before_s) / (time.monotonic() - begun_s)


def rss_peak_mib(pid: int) -> float:
    """Most memory that the process had resident so far."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) / _MIB_KIB


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
