"""Who works: every worker process says now and then that it lives, and what its devices are doing.

This is the only heartbeat. It goes from the worker's host to the engine's database and never over a device's link.
"""

from __future__ import annotations

import json
import os
import platform
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from lab.campaigns.base import ProgressEvent

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
VALUES (:executor_id, :roles, :host, :pid, :beat_s, :doing)
ON CONFLICT (executor_id) DO UPDATE SET roles = excluded.roles, host = excluded.host, pid = excluded.pid,
beat_s = excluded.beat_s, doing = excluded.doing
"""


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
                 chores: Callable[[], None] = lambda: None) -> None:
        self._engine = engine
        self._line = {"executor_id": executor_id, "roles": json.dumps(roles), "host": platform.node(),
                      "pid": os.getpid()}
        self._chores = chores
        self._doing: dict[str, str] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="roster", daemon=True)
        self._changed = False

    def start(self) -> None:
        """Begin; the table is made if need be."""
        with self._engine.begin() as connection:
            connection.execute(text(_TABLE))
        self._write()
        self._thread.start()

    def note(self, event: ProgressEvent) -> None:
        """What a subject is doing now."""
        self._doing[event.subject] = event.text[:200]
        self._changed = True

    def stop(self) -> None:
        """End, and leave the roster."""
        self._ended.set()
        if self._thread.is_alive():  # else it was never started
            self._thread.join(timeout=10.0)
        with suppress(SQLAlchemyError), self._engine.begin() as connection:
            connection.execute(text("DELETE FROM lab_workers WHERE executor_id = :id"),
                               {"id": self._line["executor_id"]})

    def _beat(self) -> None:
        last = time.monotonic()
        while not self._ended.wait(_CHANGED_S):
            if not self._changed and time.monotonic() - last < BEAT_S:
                continue
            self._changed, last = False, time.monotonic()
            with suppress(SQLAlchemyError):
                self._write()
            self._chores()

    def _write(self) -> None:
        with self._engine.begin() as connection:
            connection.execute(text(_BEAT), {**self._line, "beat_s": time.time(),
                                             "doing": json.dumps(dict(list(self._doing.items())[-200:]))})


def workers(engine: Engine, now_s: float | None = None) -> tuple[WorkerLine, ...]:
    """Every worker heard of and not gone in order; none where nobody ever worked."""
    try:
        with engine.connect() as connection:
            rows = connection.execute(text("SELECT executor_id, roles, host, pid, beat_s, doing FROM lab_workers "
                                           "ORDER BY executor_id")).all()
    except SQLAlchemyError:
        return ()
    now = time.time() if now_s is None else now_s
    return tuple(WorkerLine(executor_id=row[0], roles=tuple(json.loads(row[1])), host=row[2], pid=row[3],
                            age_s=now - row[4], doing=json.loads(row[5])) for row in rows)
