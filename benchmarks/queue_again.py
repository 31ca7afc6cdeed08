"""What a finished campaign costs when it is submitted again, and what fifty kills leave behind."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

from benchmarks.table import Row
from tests.support.campaigns import write_pair

AGAIN_LIMIT_S = 2.0
KILL_TESTS = "tests/long/test_queue_kills.py"
KILLS_TIMEOUT_S = 3600.0
_ROOT = Path(__file__).resolve().parents[1]
_FILE = """name: again
workload: {workload}
devices: [local]
techniques:
  int8: [quantize_static]
protocol: {{preset: quick, window_s: 0.1, warmup_s: 0.02, idle_s: 0.1}}
"""


def again_rows(folder: Path, where: str) -> list[Row]:
    """`lab run` of one file twice, as processes of their own; the reference is the first time."""
    home, file = folder / "home", folder / "campaign.yaml"
    file.write_text(_FILE.format(workload=write_pair(folder / "pair")))
    _lab(home, "devices", "add", "local", "local")
    first_s = _lab(home, "run", str(file))
    before = counted(home)
    again_s = _lab(home, "run", str(file))
    return rows_of_again(where, first_s, again_s, before, counted(home))


def rows_of_again(where: str, first_s: float, again_s: float, before: dict[str, int], after: dict[str, int]
                  ) -> list[Row]:
    """Two rows: how long, and what was measured; a first time that measured nothing proves nothing."""
    new = sum(after.values()) - sum(before.values())
    what = f"a finished campaign submitted again, {where}"
    return [
        Row(f"{what}: time", f"{again_s:.2f} s", f"{first_s:.2f} s", f"{again_s / first_s:.2f}",
            f"< {AGAIN_LIMIT_S:g} s", again_s < AGAIN_LIMIT_S, "whole `lab run` process; reference: the first time"),
        Row(f"{what}: measured", str(new), str(before["windows"]), "-", "0", new == 0 and before["windows"] > 0,
            "new windows and attempts at blocks; reference: windows of the first time"),
    ]


def counted(home: Path) -> dict[str, int]:
    """Lines of the tables that grow with every measurement."""
    with closing(sqlite3.connect(f"file:{home / 'lab.db'}?mode=ro", uri=True)) as database:
        return {table: int(database.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
                for table in ("windows", "block_attempts")}


def kill_rows() -> list[Row]:
    """One row per queue: the long test in full, whose assertions are: no block lost, doubled or overlapping."""
    return [_kill_row(what, test) for what, test in (
        ("SQLite", "test_fifty_kills_with_one_home_and_a_file_as_queue"),
        ("PostgreSQL", "test_fifty_kills_with_homes_apart_and_postgres"))]


def _kill_row(where: str, test: str) -> Row:
    line = [sys.executable, "-m", "pytest", "-q", "-rs", "-m", "long", f"{KILL_TESTS}::{test}"]
    begun_s = time.monotonic()
    try:
        done = subprocess.run(line, cwd=_ROOT, capture_output=True, text=True, check=False, timeout=KILLS_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return row_of_kills(where, 1, f"it did not end within {KILLS_TIMEOUT_S:g} s", KILLS_TIMEOUT_S)
    return row_of_kills(where, done.returncode, done.stdout, time.monotonic() - begun_s)


def row_of_kills(where: str, code: int, said: str, took_s: float) -> Row:
    """Met only if the test passed: one that was skipped or broke off says nothing about losses."""
    passed = code == 0 and " passed" in said
    wrong = [line for line in said.splitlines() if line.startswith(("E ", "SKIPPED"))] or said.splitlines()[-1:]
    return Row(f"50 kills, {where}: blocks lost / doubled / overlapping", "0 / 0 / 0" if passed else "unknown", "-", "-",  # noqa: E501
               "0 / 0 / 0", passed, f"{KILL_TESTS} in {took_s:.0f} s" if passed else " ".join(wrong)[:200])


def _lab(home: Path, *words: str) -> float:
    """Seconds of one whole `lab` process; raises RuntimeError with what it said if it failed."""
    begun_s = time.monotonic()
    done = subprocess.run([sys.executable, "-m", "lab.cli.main", *words], env={**os.environ, "LAB_HOME": str(home)},
                          capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    took_s = time.monotonic() - begun_s
    if done.returncode:
        raise RuntimeError(f"lab {' '.join(words)} failed: {done.stderr[-2000:]}")
    return took_s
