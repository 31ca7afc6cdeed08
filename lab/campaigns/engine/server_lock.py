"""An executor's name as a lock of a PostgreSQL session, taken again when the session was lost."""

from __future__ import annotations

import hashlib
import threading
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from .database import connect

if TYPE_CHECKING:
    from sqlalchemy import Connection

LOOK_S = 1.0
"""Between two looks at the session while it is well."""

_RETRY_S = 0.1
_END_S = 2.0
_TAKE = text("SELECT set_config('application_name', :mine, false), pg_try_advisory_lock(:key)")
# A session that this process lost may live on at the server, which has not noticed yet: only that one is ended.
_END_OWN = text("""
SELECT pg_terminate_backend(held.pid) FROM pg_locks held JOIN pg_stat_activity seen ON seen.pid = held.pid
WHERE held.locktype = 'advisory' AND held.granted AND seen.application_name = :mine AND held.pid <> pg_backend_pid()
AND seen.datname = current_database() AND (held.classid::bigint << 32 | held.objid::bigint) = :key
""")


class ServerLock:
    """One lock on one connection. `is_lost` becomes true, and stays so, when somebody else has the lock.

    While the server cannot be reached nobody else can take the lock either, so that is no loss. A process that takes
    it in the moment between the server's return and our next look has it; then we have lost it.
    """

    def __init__(self, url: str, name: str) -> None:
        key = int.from_bytes(hashlib.sha256(f"joulelab {name}".encode()).digest()[:8], "big", signed=True)
        self._values = {"key": key, "mine": f"lab-{uuid.uuid4().hex}"}
        self._engine = connect(url)
        self._connection: Connection | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name=f"lock {name}", daemon=True)
        self.is_lost = False

    def take(self) -> bool:
        """Take the lock on a new connection; False if another session has it. Raises SQLAlchemyError."""
        connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        try:
            if connection.execute(_TAKE, self._values).one()[1]:
                self._connection = connection
                return True
            if connection.execute(_END_OWN, self._values).all():
                raise SQLAlchemyError("our own lost session held the lock")  # freed in a moment: look again
        finally:
            if self._connection is not connection:
                connection.close()
        return False

    def watch(self) -> None:
        """Begin to look after it."""
        self._thread.start()

    def close(self) -> None:
        """Free the lock."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(_END_S)
        if not self._thread.is_alive():  # else it waits for a server that does not answer, and closing would wait too
            self._drop()
        self._engine.dispose()

    def _watch(self) -> None:
        pause_s = LOOK_S
        while not self.is_lost and not self._ended.wait(pause_s):
            try:
                self._look()
                pause_s = LOOK_S
            except SQLAlchemyError:
                self._drop()
                pause_s = _RETRY_S
        if self._ended.is_set():
            self._drop()

    def _look(self) -> None:
        """See that the session lives; without one take the lock again."""
        if self._connection is not None:
            self._connection.execute(text("SELECT 1"))
        elif not self.take():
            self.is_lost = True

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(SQLAlchemyError):
                connection.close()
