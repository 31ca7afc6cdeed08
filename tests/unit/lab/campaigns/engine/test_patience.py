"""A full disk is waited for by those who work, and said; nobody who only asks is made to wait."""

from __future__ import annotations

import errno
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[5]
CODE = """
import sqlite3, sys
from sqlalchemy import create_engine, exc
from sqlalchemy.pool import NullPool
from dbos._sys_db import db_retry
from lab.campaigns.engine.patience import wait_for_space

told = []
wait_for_space(told.append)
engine = create_engine(f"sqlite:///{sys.argv[1]}", poolclass=NullPool)

class Database:
    _is_sqlite = True
    def __init__(self, waits):
        self._retry_connection_errors, self.tries = waits, 0
    @db_retry(initial_backoff=0.01)
    def write(self, broken=False):
        self.tries += 1
        with engine.begin() as connection:
            if self.tries < 3:
                connection.exec_driver_sql("PRAGMA max_page_count = 4")
            connection.exec_driver_sql("INSERT INTO absent VALUES (1)" if broken else
                                       "INSERT INTO t VALUES (zeroblob(100000))")

def said(action):
    try:
        action()
    except exc.OperationalError as error:
        return str(error.orig)

worker, client, other = Database(True), Database(False), Database(True)
assert "full" in said(client.write) and client.tries == 1
told.clear()
assert said(worker.write) is None and worker.tries == 3
assert [str(error.orig) for error in told] == ["database or disk is full"] * 2
assert "no such table" in said(lambda: other.write(broken=True)) and other.tries == 1
"""


def test_a_worker_waits_for_space_and_a_client_does_not(tmp_path):
    """In a process of its own, since dbos is changed for good; every other error is what it was."""
    with closing(sqlite3.connect(tmp_path / "small.db")) as database:
        database.execute("CREATE TABLE t (x)")
    done = subprocess.run([sys.executable, "-c", CODE, str(tmp_path / "small.db")], cwd=ROOT, text=True,
                          capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def heard():
    """What this process's listener hears, without an engine."""
    from lab.campaigns.engine import workflows

    found = []
    workflows.serve_with(workflows.Runtime(listener=found.append))
    yield found
    workflows.tell_why_waiting(None)
    workflows.serve_with(workflows.Runtime())


def test_why_nothing_can_be_stored_is_said_until_something_is(heard):
    """And nothing at all while all is well."""
    from lab.campaigns.engine.workflows import tell_why_waiting

    tell_why_waiting(None)
    assert heard == []
    tell_why_waiting(OSError(errno.ENOSPC, "No space left on device"))
    tell_why_waiting(None)
    tell_why_waiting(None)
    assert [(event.subject, event.text) for event in heard] == [
        ("storage", "waiting: [Errno 28] No space left on device"), ("storage", "")]
