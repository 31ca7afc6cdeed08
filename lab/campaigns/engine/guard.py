"""One process per executor: a second one would begin the first one's running calls again."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab.errors import ExecutorTaken

from .database import is_sqlite
from .server_lock import ServerLock


class Hold:
    """This process's hold on an executor's name; the name can be lost with the database that keeps it."""

    def __init__(self, executor_id: str, lock: ServerLock | None = None) -> None:
        self._executor_id = executor_id
        self._lock = lock

    @property
    def is_lost(self) -> bool:
        """Whether another process has the name by now."""
        return self._lock is not None and self._lock.is_lost

    def check(self) -> None:
        """Raises ExecutorTaken once another process has the name: then this one must stop."""
        if self.is_lost:
            raise ExecutorTaken(f"Another process took over as {self._executor_id!r} while the database was away, so "
                                "this one stops. Blocks that run go on on their devices, and the other process "
                                "collects them. Expected one per role: let it work, or end it and start this one "
                                "again.")


@contextmanager
def only_one(home: Path, url: str, executor_id: str) -> Iterator[Hold]:
    """Hold this executor's name for the time of the `with`; raises ExecutorTaken if another process has it.

    A lock file tells processes of this machine apart; on a server a session lock does so for all machines, freed by
    the server when the session ends. A thread takes it again when the server was away.
    """
    folder = home / "locks"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(folder / f"executor-{executor_id}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _taken(executor_id) from None
        if is_sqlite(url):
            yield Hold(executor_id)
            return
        lock = ServerLock(url, executor_id)
        try:
            if not lock.take():
                raise _taken(executor_id)
            lock.watch()
            yield Hold(executor_id, lock)
        finally:
            lock.close()
    finally:
        os.close(descriptor)


def _taken(executor_id: str) -> ExecutorTaken:
    return ExecutorTaken(f"Another process already works as {executor_id!r}. Expected one per role: end it, or let it "
                         "work; it takes everything that is submitted.")
