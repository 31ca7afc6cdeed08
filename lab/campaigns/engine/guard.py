"""One process per executor: a second one would begin the first one's running calls again."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab.errors import ExecutorTaken

from .database import connect, is_sqlite


@contextmanager
def only_one(home: Path, url: str, executor_id: str) -> Iterator[None]:
    """Hold this executor's name for the time of the `with`; raises ExecutorTaken if another process has it.

    A lock file tells processes of this machine apart; on a server a session lock does so for all machines, and is
    freed by the server when the connection ends.
    """
    folder = home / "locks"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(folder / f"executor-{executor_id}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _taken(executor_id) from None
        with _on_server(url, executor_id):
            yield
    finally:
        os.close(descriptor)


@contextmanager
def _on_server(url: str, executor_id: str) -> Iterator[None]:
    if is_sqlite(url):
        yield
        return
    from sqlalchemy import text

    key = int.from_bytes(hashlib.sha256(f"joulelab {executor_id}".encode()).digest()[:8], "big", signed=True)
    engine = connect(url)
    try:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            if not connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": key}).scalar():
                raise _taken(executor_id)
            yield
    finally:
        engine.dispose()


def _taken(executor_id: str) -> ExecutorTaken:
    return ExecutorTaken(f"Another process already works as {executor_id!r}. Expected one per role: end it, or let it "
                         "work; it takes everything that is submitted.")
