"""What every group of records shares: one connection, rows as dicts, one transaction at a time."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from .durable import disk_error

if TYPE_CHECKING:
    from sqlite_utils import Database

Row: TypeAlias = Mapping[str, Any]
Values: TypeAlias = Sequence[Any] | dict[str, Any]


def utc_text(instant: datetime) -> str:
    """An instant in UTC as the database keeps it, so that texts sort as times do."""
    return instant.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def utc_now() -> str:
    """This instant in UTC, to the microsecond."""
    return utc_text(datetime.now(UTC))


class Connection:
    """One database connection; threads may share it, since each call holds it alone."""

    def __init__(self, database: Database, home: Path, clock: Callable[[], str] = utc_now) -> None:
        self.home = home
        self._database = database
        self._clock = clock
        self._lock = threading.RLock()

    def close(self) -> None:
        """Close the connection; nothing may be called afterwards."""
        with self._lock:
            self._database.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """All writes inside take effect together or not at all; a nested one joins the outer."""
        with self._lock, self._as_store_error("write to"):
            if self._database.conn.in_transaction:
                yield
                return
            self._database.execute("BEGIN IMMEDIATE")  # a later upgrade from read to write could not wait
            try:
                yield
                self._database.commit()
            except BaseException:  # also where the disk refused the commit: the next writer must begin its own
                self._database.rollback()
                raise

    @contextmanager
    def _snapshot(self) -> Iterator[None]:
        """Reads inside all see the same state of the database."""
        with self._lock, self._as_store_error("read"):
            if self._database.conn.in_transaction:
                yield
                return
            self._database.execute("BEGIN")
            try:
                yield
            finally:
                self._database.rollback()

    def _rows(self, sql: str, values: Values = ()) -> list[Row]:
        with self._lock, self._as_store_error("read"):
            cursor = self._database.execute(sql, values)
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def _row(self, sql: str, values: Values = ()) -> Row | None:
        rows = self._rows(sql, values)
        return rows[0] if rows else None

    def _write(self, sql: str, values: Values) -> int:
        """Run one statement inside the open transaction; returns how many rows it changed."""
        return int(self._database.execute(sql, values).rowcount)

    def _insert(self, table: str, record: Mapping[str, object]) -> None:
        self._database.table(table).insert(dict(record))

    @contextmanager
    def _as_store_error(self, doing: str) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OverflowError) as error:
            raise disk_error(f"cannot {doing} the lab database in {self.home}: {error}", error) from error
