"""The queue's database is private, in WAL mode, and holds JSON only."""

from __future__ import annotations

import base64
import os
import pickle
import sqlite3
import stat
from contextlib import closing, contextmanager

import pytest

from lab.campaigns.engine import database
from lab.errors import ConfigError, StoreError


@contextmanager
def opened(url):
    client_of_queue = database.client(url)
    yield client_of_queue
    client_of_queue.destroy()


class Bomb:
    """Unpickled, it makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_the_default_is_a_private_file_in_wal_mode(tmp_path):
    """Whoever can write it can make every worker do things."""
    url = database.engine_url(tmp_path, {})
    database.prepare(url)
    path = tmp_path / database.ENGINE_FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_a_file_others_could_read_is_made_private(tmp_path):
    """Also one that was copied here with other rights."""
    path = tmp_path / database.ENGINE_FILE
    path.touch(mode=0o644)
    path.chmod(0o644)
    database.prepare(database.engine_url(tmp_path, {}))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_pickled_row_is_refused_and_runs_nothing(tmp_path):
    """dbos picks the format by what the row says, so its own unpickling is switched off."""
    url = database.engine_url(tmp_path, {})
    with opened(url) as client_of_queue:
        client_of_queue.enqueue({"workflow_name": "plan", "queue_name": "campaigns", "workflow_id": "bad"}, "x", 1)
    trap = tmp_path / "ran"
    poison = base64.b64encode(pickle.dumps(Bomb(trap))).decode()
    with sqlite3.connect(tmp_path / database.ENGINE_FILE) as connection:
        changed = connection.execute("UPDATE workflow_status SET inputs = ?, serialization = 'py_pickle' "
                                     "WHERE workflow_uuid = 'bad'", (poison,)).rowcount
    connection.close()
    assert changed == 1
    with opened(url) as client_of_queue:
        found = client_of_queue.list_workflows(workflow_ids=["bad"])
    assert not trap.exists()
    assert not isinstance(found[0].input, os.PathLike)


def test_pickling_is_refused_both_ways():
    """Nothing of ours is ever written in that format either."""
    from dbos import _serialization

    database.refuse_pickle()
    with pytest.raises(ValueError, match="pickled value was refused"):
        _serialization.DefaultSerializer().serialize({"a": 1})
    with pytest.raises(ValueError, match="pickled value was refused"):
        _serialization.DefaultSerializer().deserialize("gASVBQAAAAAAAABLAS4=")


@pytest.mark.parametrize(("given", "expected"), [
    ("postgresql://lab:secret@db/lab", "postgresql+psycopg://lab:secret@db/lab"),
    ("postgresql+psycopg://db/lab", "postgresql+psycopg://db/lab"),
    ("sqlite:////tmp/x.db", "sqlite:////tmp/x.db"),
])
def test_a_url_names_another_place(tmp_path, given, expected):
    """PostgreSQL by the URL people have at hand."""
    assert database.engine_url(tmp_path, {"LAB_ENGINE_URL": given}) == expected


def test_another_kind_of_database_is_refused_without_showing_a_password(tmp_path):
    """The text names the variable and what may stand there."""
    with pytest.raises(ConfigError, match="LAB_ENGINE_URL") as caught:
        database.engine_url(tmp_path, {"LAB_ENGINE_URL": "mysql://lab:secret@db/lab"})
    assert "secret" not in str(caught.value)


def test_a_server_that_is_not_there_is_named_without_its_password():
    """Nobody listens on port 1."""
    with pytest.raises(StoreError, match=r"127\.0\.0\.1:1") as caught:
        database.client("postgresql+psycopg://lab:secret@127.0.0.1:1/lab")
    assert "secret" not in str(caught.value)


def version_in(path):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT version FROM dbos_migrations").fetchone()[0]


def test_tables_of_a_newer_dbos_are_refused_and_left_alone(tmp_path):
    """Somebody updated the lab elsewhere; the text says what to do."""
    url, path = database.engine_url(tmp_path, {}), tmp_path / database.ENGINE_FILE
    database.prepare(url)
    known = version_in(path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE dbos_migrations SET version = version + 1")
    for opening in (database.prepare, database.client):
        with pytest.raises(StoreError, match=rf"version {known + 1}, .* up to {known}\. Update the lab") as caught:
            opening(url)
        assert str(path) in str(caught.value)
    assert version_in(path) == known + 1
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE dbos_migrations SET version = version - 1")
    with opened(url) as client_of_queue:
        assert client_of_queue.list_workflows() == []


@pytest.mark.parametrize("made", [1, 20, 110])
def test_tables_of_an_older_dbos_are_brought_up_to_date(tmp_path, made):
    """What waits in the queue stays there."""
    from dbos._migration import sqlite_migrations

    path = tmp_path / database.ENGINE_FILE
    with closing(sqlite3.connect(path)) as connection, connection:
        for sql in sqlite_migrations[:made]:
            connection.executescript(sql)
        connection.execute("CREATE TABLE dbos_migrations (version INTEGER NOT NULL PRIMARY KEY)")
        connection.execute("INSERT INTO dbos_migrations VALUES (?)", (made,))
        connection.execute("INSERT INTO workflow_status (workflow_uuid, status, name) VALUES ('old', 'ENQUEUED', 'x')")
    with opened(database.engine_url(tmp_path, {})) as client_of_queue:
        found = client_of_queue.list_workflows(load_input=False, load_output=False)
    assert [(each.workflow_id, each.status) for each in found] == [("old", "ENQUEUED")]
    assert version_in(path) == len(sqlite_migrations)


def test_a_file_that_is_no_database_is_refused(tmp_path):
    """And left as it is."""
    path = tmp_path / database.ENGINE_FILE
    path.write_bytes(b"this is not a database, it is a letter" * 50)
    with pytest.raises(StoreError, match="cannot open the queue"):
        database.prepare(database.engine_url(tmp_path, {}))
    assert path.read_bytes().startswith(b"this is not")
