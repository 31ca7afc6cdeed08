"""What the durable queue costs: `python -m benchmarks.queue [--quick] [--json]`.

Real dbos engine, real store. Where the queue is what is timed, the devices sleep instead of measuring, so that they
cost no processor; resubmitting and kills are on the real agent. With PostgreSQL installed the same is done there.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from agents.wire.host_lock_place import HOST_LOCK_FOLDER_VARIABLE
from benchmarks.queue_again import again_rows, kill_rows
from benchmarks.queue_pace import idle_rows, makespan_row
from benchmarks.queue_size import FULL, QUICK, size_rows
from benchmarks.table import Row, print_table
from lab.campaigns.engine.database import URL_VARIABLE
from tests.support.postgres import AVAILABLE, Postgres

DEVICES = 8


def main() -> int:
    """Print the table; the exit code says whether all targets were met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter blocks, fewer cells, no kills: a look")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder, _variable(HOST_LOCK_FOLDER_VARIABLE, folder):
        with _variable(URL_VARIABLE, None):
            rows += rows_of(Path(folder) / "sqlite", "SQLite", quick=arguments.quick)
        if AVAILABLE:
            with Postgres() as server, _variable(URL_VARIABLE, None):
                rows += rows_of(Path(folder) / "postgres", "PostgreSQL", quick=arguments.quick,
                                database=lambda name: _database(server, name))
    if not arguments.quick:
        rows += kill_rows()
    return print_table("What the durable queue costs", rows, arguments.json)


def rows_of(folder: Path, where: str, *, quick: bool, database: Callable[[str], str] | None = None) -> list[Row]:
    """All rows but the kills; each part has a home of its own, and on a server a database of its own."""
    parts: dict[str, Callable[[Path], list[Row]]] = {
        "idle": lambda home: idle_rows(home, blocks=6 if quick else 20, block_s=0.5 if quick else 3.0, where=where),
        "makespan": lambda home: [makespan_row(home, devices=DEVICES, blocks=3 if quick else 6,
                                               block_s=3.0 if quick else 6.0, where=where)],
        "size": lambda home: size_rows(home, QUICK if quick else FULL, 5.0 if quick else 20.0, where),
        "again": lambda home: again_rows(home, where),
    }
    rows: list[Row] = []
    for name, measure in parts.items():
        home = folder / name
        home.mkdir(parents=True)
        with _variable(URL_VARIABLE, database(name) if database else None):
            rows += measured(f"{name}, {where}", lambda home=home, measure=measure: measure(home))
    return rows


def measured(what: str, measure: Callable[[], list[Row]]) -> list[Row]:
    """The rows, or one that says why there are none: a part that breaks off is a target missed, not a table less."""
    try:
        return measure()
    except Exception as error:  # noqa: BLE001 whatever it was, the other parts are still measured
        return [Row(what, "-", "-", "unknown", "-", False, f"broke off: {error}"[:200])]


def _database(server: Postgres, name: str) -> str:
    from tests.support.postgres import ROLE

    server.create_database(f"queue_{name}", ROLE)
    return server.url(f"queue_{name}")


@contextmanager
def _variable(name: str, value: str | None) -> Iterator[None]:
    """An environment variable for the time of the `with`, or its absence."""
    before = os.environ.pop(name, None)
    if value is not None:
        os.environ[name] = value
    try:
        yield
    finally:
        os.environ.pop(name, None)
        if before is not None:
            os.environ[name] = before


if __name__ == "__main__":
    sys.exit(main())
