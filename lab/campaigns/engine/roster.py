"""Who works: every worker process says now and then that it lives, and what its devices are doing.

This is the only heartbeat. It goes from the worker's host to the engine's database and never over a device's link. A
server's own clock says when a beat came and how old it is, so that machines whose clocks differ agree on who lives.
"""

from __future__ import annotations

import json
import os
import platform
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from dbos import error as dbos_error
from sqlalchemy import Engine, TextClause, text
from sqlalchemy.exc import IntegrityError, ProgrammingError, SQLAlchemyError

from lab.campaigns.base import ProgressEvent
from lab.errors import LabError

BEAT_S = 5.0
"""Between two beats while nothing changes."""

DEAD_AFTER_S = 30.0
"""Without a beat for this long a worker counts as dead."""

_CHANGED_S = 1.0
_TABLE = """
CREATE TABLE IF NOT EXISTS lab_workers (executor_id VARCHAR(200) PRIMARY KEY, roles TEXT NOT NULL, host TEXT NOT NULL,
pid INTEGER NOT NULL, beat_s DOUBLE PRECISION NOT NULL, doing TEXT NOT NULL)
"""
_BEAT = """
INSERT INTO lab_workers (executor_id, roles, host, pid, beat_s, doing)
VALUES (:executor_id, :roles, :host, :pid, {now_s}, :doing)
ON CONFLICT (executor_id) DO UPDATE SET roles = excluded.roles, host = excluded.host, pid = excluded.pid,
beat_s = excluded.beat_s, doing = excluded.doing
"""
_LEAVE = "DELETE FROM lab_workers WHERE executor_id = :executor_id AND host = :host AND pid = :pid"
_ALL = "SELECT executor_id, roles, host, pid, {now_s} - beat_s, doing FROM lab_workers ORDER BY executor_id"
_SERVER_CLOCK = "CAST(extract(epoch FROM clock_timestamp()) AS DOUBLE PRECISION)"


@dataclass(frozen=True, kw_only=True)
class WorkerLine:
    """One worker process as the roster knows it; `doing` is the last word by subject (a device, a technique)."""

    executor_id: str
    roles: tuple[str, ...]
    host: str
    pid: int
    age_s: float
    doing: dict[str, str]

    @property
    def is_alive(self) -> bool:
        """Whether it has been heard of lately."""
        return self.age_s <= DEAD_AFTER_S


class Beating:
    """Beats for this process from a thread of its own; a database that is away is tried again, never an error."""

    def __init__(self, engine: Engine, executor_id: str, roles: tuple[str, ...],
                 chores: Callable[[], None] = lambda: None, clock: Callable[[], float] = time.time) -> None:
        self._engine = engine
        self._line = {"executor_id": executor_id, "roles": json.dumps(roles), "host": platform.node(),
                      "pid": os.getpid()}
        self._chores = chores
        self._clock = clock
        self._doing: dict[str, str] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="roster", daemon=True)
        self._changed = False

    def start(self) -> None:
        """Begin; the table is made if need be."""
        _make_table(self._engine)
        self._write()
        self._thread.start()

    def note(self, event: ProgressEvent) -> None:
        """What a subject is doing now."""
        self._doing[event.subject] = event.text[:200]
        self._changed = True

    def stop(self) -> None:
        """End, and leave the roster, unless another process has this one's line by now."""
        self._ended.set()
        if self._thread.is_alive():  # else it was never started
            self._thread.join(timeout=10.0)
        with suppress(SQLAlchemyError), self._engine.begin() as connection:
            connection.execute(text(_LEAVE), self._line)

    def _beat(self) -> None:
        last = time.monotonic()
        while not self._ended.wait(_CHANGED_S):
            if not self._changed and time.monotonic() - last < BEAT_S:
                continue
            self._changed, last = False, time.monotonic()
            with suppress(SQLAlchemyError):
                self._write()
            with suppress(SQLAlchemyError, dbos_error.DBOSException, LabError):  # what is away comes back
                self._chores()

    def _write(self) -> None:
        with self._engine.begin() as connection:
            connection.execute(_timed(_BEAT, self._engine, self._clock()), {
                **self._line, "doing": json.dumps(dict(list(self._doing.items())[-200:]))})


def _make_table(engine: Engine) -> None:
    """Make the table if need be; of two workers that start together PostgreSQL tells one that it exists already."""
    try:
        with engine.begin() as connection:
            connection.execute(text(_TABLE))
    except (IntegrityError, ProgrammingError):
        with engine.connect() as connection:
            connection.execute(text("SELECT count(*) FROM lab_workers"))


def workers(engine: Engine, now_s: float | None = None) -> tuple[WorkerLine, ...]:
    """Every worker heard of and not gone in order; none where nobody ever worked.

    `now_s` is this machine's time, asked where the engine is a file; a beat from its future counts as just come.
    """
    try:
        with engine.connect() as connection:
            rows = connection.execute(_timed(_ALL, engine, time.time() if now_s is None else now_s)).all()
    except SQLAlchemyError:
        return ()
    return tuple(WorkerLine(executor_id=row[0], roles=tuple(json.loads(row[1])), host=row[2], pid=row[3],
                            age_s=max(row[4], 0.0), doing=json.loads(row[5])) for row in rows)


class DeadTwice:
    """Tells who is dead from looks further apart than beats: once may mean that a clock was just set."""

    def __init__(self) -> None:
        self._before: frozenset[str] = frozenset()

    def among(self, lines: Sequence[WorkerLine]) -> tuple[str, ...]:
        """Executor ids that are dead now and were at the last look."""
        before, self._before = self._before, frozenset(line.executor_id for line in lines if not line.is_alive)
        return tuple(sorted(before & self._before))


def _timed(statement: str, engine: Engine, now_s: float) -> TextClause:
    """The statement with the server's clock, or this machine's where the engine is a file."""
    if engine.dialect.name == "postgresql":
        return text(statement.format(now_s=_SERVER_CLOCK))
    return text(statement.format(now_s=":now_s")).bindparams(now_s=now_s)
