"""On PostgreSQL, processes tell each other which queue holds something new, so that nobody needs to poll in a hurry.

A bell that is not heard, as while the connection is being made again, is made good by the next poll.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

from .database import is_sqlite, link_settings

if TYPE_CHECKING:
    from sqlalchemy import Engine

_CHANNEL = "lab_queue"
_LOOK_S = 1.0
_AGAIN_S = 5.0


def ring(engine: Engine, queues: Iterable[str]) -> None:
    """Say that something waits in these queues; nothing on SQLite, nothing while the server is away."""
    if engine.dialect.name != "postgresql":
        return
    from sqlalchemy import text
    from sqlalchemy.exc import SQLAlchemyError

    with suppress(SQLAlchemyError), engine.begin() as connection:
        for name in sorted(set(queues)):
            connection.execute(text("SELECT pg_notify(:channel, :name)"), {"channel": _CHANNEL, "name": name})


class Listening:
    """Hears the bell in a thread of its own and hands the queue's name to `heard`; does nothing on SQLite."""

    def __init__(self, url: str, heard: Callable[[str], None]) -> None:
        self._url = url
        self._heard = heard
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="bell", daemon=True)

    def start(self) -> None:
        """Begin."""
        if not is_sqlite(self._url):
            self._thread.start()

    def stop(self) -> None:
        """End."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(timeout=10.0)

    def _listen(self) -> None:
        import psycopg

        while not self._ended.is_set():
            try:
                self._listen_once()
            except psycopg.Error:  # the server is away: polls find what waits, and we come back
                self._ended.wait(_AGAIN_S)

    def _listen_once(self) -> None:
        import psycopg
        from psycopg.conninfo import make_conninfo

        url = self._url.replace("postgresql+psycopg://", "postgresql://", 1)
        with psycopg.connect(make_conninfo(url, **link_settings(self._url)), autocommit=True) as connection:
            connection.execute(f"LISTEN {_CHANNEL}")
            while not self._ended.is_set():
                for told in connection.notifies(timeout=_LOOK_S):
                    self._heard(told.payload)
