"""The engine's database: a private SQLite file by default, PostgreSQL by URL; JSON only."""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.errors import ConfigError, StoreError

if TYPE_CHECKING:
    from dbos import DBOSClient
    from sqlalchemy import Engine

APPLICATION = "lab"
VERSION = "lab-wf-1"
"""Raised only when the order of calls changes so that old ones cannot go on; the queue is drained before."""

ENGINE_FILE = "engine.db"
_SCHEMA = "dbos"
URL_VARIABLE = "LAB_ENGINE_URL"

_LINK = {"connect_timeout": 10, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3,
         "tcp_user_timeout": 20_000}
"""A connection whose other end is gone without a word ends within half a minute (libpq; s, and ms for the last)."""


def engine_url(home: Path, env: Mapping[str, str] = os.environ) -> str:
    """Where the engine keeps what should happen next: LAB_ENGINE_URL, else a file in LAB_HOME. Raises ConfigError."""
    given = env.get(URL_VARIABLE, "").strip()
    if not given:
        return f"sqlite:///{(home / ENGINE_FILE).absolute()}"
    if given.startswith("postgresql://"):
        given = given.replace("postgresql://", "postgresql+psycopg://", 1)
    if not given.startswith(("postgresql+psycopg://", "sqlite:///")):
        raise ConfigError(f"{URL_VARIABLE}: expected postgresql://USER@HOST/DATABASE or sqlite:///FILE, got "
                          f"{given.split('://')[0][:20]!r}://…")
    return given


def is_sqlite(url: str) -> bool:
    """Whether one file holds it all."""
    return url.startswith("sqlite:")


def prepare(url: str) -> None:
    """Make or update the tables before dbos opens them, and a SQLite file private and WAL. Raises StoreError.

    Tables of a newer dbos are refused: this one would read them, and write rows that lack what the newer one expects.
    """
    refuse_pickle()
    logging.getLogger("dbos").setLevel(logging.CRITICAL)  # cancelled calls are no news; what fails is in the store
    if is_sqlite(url):
        _prepare_file(url)
    else:
        _migrate_server(url)


def _prepare_file(url: str) -> None:
    from sqlalchemy.exc import SQLAlchemyError

    path = Path(url.removeprefix("sqlite:///"))
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _migrating(path):
            if not path.exists():
                os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            path.chmod(0o600)
            engine = connect(url)
            is_behind = _is_behind(engine, str(path))
            with engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA journal_mode = WAL")
            engine.dispose()
            if is_behind:
                _migrate(url)
    except (OSError, SQLAlchemyError) as error:
        raise StoreError(f"cannot open the queue {path}: {error}; it must be on a local disk that can be written. What "
                         "was measured is not in it: with the file moved away, `lab campaigns resume` goes on."
                         ) from error


def _migrate_server(url: str) -> None:
    """Make or update the tables unless they are all there; a worker's role need not be able to.

    Asked by version, since another process may be making them at this moment: then dbos waits for it.
    """
    from sqlalchemy.exc import SQLAlchemyError

    engine = connect(url)
    try:
        if _is_behind(engine, without_password(url)):
            _migrate(url)
    except SQLAlchemyError as error:
        raise StoreError(f"cannot reach the queue at {without_password(url)}: {error}. Check {URL_VARIABLE}, that the "
                         "server runs, and that whoever opens it first after an update may change its tables."
                         ) from error
    finally:
        engine.dispose()


def _is_behind(engine: Engine, where: str) -> bool:
    """Whether tables are missing or older than this dbos makes them; raises StoreError if they are newer."""
    from dbos import _migration

    if engine.dialect.name == "sqlite":
        found, known = _migration.get_sqlite_migration_versions(engine)
    else:
        found, known = _migration.get_migration_versions(engine, _SCHEMA, use_listen_notify=True)
    if found > known:
        raise StoreError(f"the queue {where} was opened by a newer version of the lab: its tables have version "
                         f"{found}, this version knows them up to {known}. Update the lab here. To go back instead, "
                         f"begin with an empty queue (move the file away, or name another database in {URL_VARIABLE}): "
                         "what was measured is not in it, `lab campaigns resume` goes on.")
    return bool(found < known)


def _migrate(url: str) -> None:
    from dbos import DBOS

    DBOS.migrate(url)


@contextmanager
def _migrating(path: Path) -> Iterator[None]:
    """One process at a time makes the tables."""
    descriptor = os.open(path.with_suffix(".migrating"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def connect(url: str) -> Engine:
    """Our own few connections beside those of dbos."""
    from sqlalchemy import create_engine
    from sqlalchemy.pool import NullPool

    arguments = {"timeout": 30.0} if is_sqlite(url) else link_settings(url)
    return create_engine(url, connect_args=arguments, poolclass=NullPool if is_sqlite(url) else None,
                         **({} if is_sqlite(url) else {"pool_size": 2, "pool_pre_ping": True}))


def link_settings(url: str) -> dict[str, int]:
    """How a connection to a server is watched, as far as the URL does not say so itself."""
    from sqlalchemy import make_url

    return {name: value for name, value in _LINK.items() if name not in make_url(url).query}


def refuse_pickle() -> None:
    """Make dbos refuse pickled values: whoever can write its database could otherwise run code in every worker.

    The serializer we set writes JSON, but a row that names the pickle format would still be unpickled by dbos 3.4.
    """
    from dbos import _serialization

    def refuse(*_args: Any, **_kwargs: Any) -> Any:
        raise ValueError("a pickled value was refused: the queue holds JSON only")

    _serialization.DefaultSerializer.serialize = refuse  # type: ignore[method-assign]
    _serialization.DefaultSerializer.deserialize = refuse  # type: ignore[method-assign]


def serializer() -> Any:
    """The JSON serializer that client and workers share."""
    from dbos import DBOSPortableJSONSerializer

    return DBOSPortableJSONSerializer()


def client(url: str) -> DBOSClient:
    """A client of the queue; it runs nothing. Raises StoreError if the database cannot be reached."""
    prepare(url)
    from dbos import DBOSClient

    try:
        return DBOSClient(system_database_url=url, serializer=serializer(), application_name=APPLICATION,
                          retry_connection_errors=False)
    except Exception as error:
        raise StoreError(f"cannot reach the queue at {without_password(url)}: {error}. Check {URL_VARIABLE} and that "
                         "the server runs.") from error


def without_password(url: str) -> str:
    """The URL as it may be shown."""
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    return url.replace(f":{parts.password}@", ":…@") if parts.password else url
