"""The engine on a real PostgreSQL: who may work when the server was away, whose clock counts, which tables fit."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from contextlib import suppress

import pytest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from lab.campaigns.engine import database
from lab.campaigns.engine.bell import Listening, ring
from lab.campaigns.engine.guard import only_one
from lab.campaigns.engine.roster import Beating, workers
from lab.campaigns.engine.server_lock import ServerLock
from lab.errors import ExecutorTaken, StoreError
from tests.conftest import need
from tests.support.postgres import AVAILABLE, Postgres
from tests.support.queue_processes import ROOT, QueueProcess, environment_of
from tests.support.two_sites import wait_until

pytestmark = pytest.mark.system

_LOCKS = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted"
_END_SESSIONS = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted"
_ANOTHER = ("import sys; from pathlib import Path; from lab.campaigns.engine.guard import only_one\n"
            "from lab.errors import ExecutorTaken\n"
            "try:\n"
            "    with only_one(Path(sys.argv[1]), sys.argv[2], 'one'):\n        print('held')\n"
            "except ExecutorTaken:\n    print('refused')\n")
HOUR_S = 3600.0
BELL_S = 30.0


@pytest.fixture(scope="module")
def server():
    """Tests may restart it, and leave it running."""
    need("postgres", AVAILABLE)
    with Postgres() as running:
        yield running


@pytest.fixture
def url(server, request):
    """A database of the test's own."""
    name = f"db{abs(hash(request.node.name))}"
    server.create_database(name, "lab")
    return server.url(name)


def another(tmp_path, url):
    """What a process at another machine is told."""
    done = subprocess.run([sys.executable, "-c", _ANOTHER, str(tmp_path / "elsewhere"), url], cwd=ROOT, check=True,
                          capture_output=True, text=True)
    return done.stdout.strip()


def holders(server, url):
    """Sessions that hold an advisory lock in this database."""
    return server.execute(_LOCKS, url.rpartition("/")[2])


class Rival:
    """A session that waits for the lock of `name` and gets it the moment it is free."""

    def __init__(self, url, name):
        self._lock = ServerLock(url, name)
        self._thread = threading.Thread(target=self._wait)
        self._connection = self._lock._engine.connect().execution_options(isolation_level="AUTOCOMMIT")

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._thread.join()
        self._connection.close()
        self._lock.close()

    def _wait(self):
        self._connection.execute(text("SELECT pg_advisory_lock(:key)"), self._lock._values)


def is_waited_for(server):
    return server.execute("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")


class TestOneProcess:
    def test_a_process_elsewhere_is_refused_until_this_one_ends(self, tmp_path, url):
        with only_one(tmp_path, url, "one") as hold:
            assert another(tmp_path, url) == "refused"
            hold.check()
            assert not hold.is_lost
        assert another(tmp_path, url) == "held"

    @pytest.mark.parametrize("way", ["session ended", "server restarted"])
    def test_it_is_still_refused_when_the_database_was_away(self, tmp_path, server, url, way):
        """The lock went with its session; it is taken again on a new one."""
        with only_one(tmp_path, url, "one") as hold:
            before = holders(server, url)
            if way == "session ended":
                assert server.execute(_END_SESSIONS) == [(True,)]
            else:
                server.stop("immediate")
                time.sleep(0.5)
                server.start()
            wait_until(lambda: holders(server, url) not in ([], before), 20, "the lock is not taken again")
            assert another(tmp_path, url) == "refused"
            hold.check()
        assert another(tmp_path, url) == "held"

    def test_who_lost_it_to_another_is_told(self, tmp_path, server, url):
        """The other one waited for just this moment."""
        with only_one(tmp_path, url, "one") as hold, Rival(url, "one"):
            wait_until(lambda: is_waited_for(server), 10, "nobody waits")
            hold.check()
            server.execute(_END_SESSIONS)
            wait_until(lambda: hold.is_lost, 10, "it does not see its loss")
            with pytest.raises(ExecutorTaken, match=r"took over as 'one' while the database was away.*let it work"):
                hold.check()

    def test_a_session_of_ours_that_the_server_still_takes_for_alive_is_ended(self, url):
        """As after a cut line: the server has not noticed, and would refuse us for the sake of ourselves."""
        lock, other = ServerLock(url, "one"), ServerLock(url, "one")
        assert lock.take()
        stale, lock._connection = lock._connection, None

        def taken():
            with suppress(SQLAlchemyError):
                return lock.take()

        with pytest.raises(SQLAlchemyError, match="our own lost session"):
            lock.take()
        wait_until(taken, 10, "the lost session keeps the lock")
        assert not other.take()
        stale.invalidate()
        stale.close()
        lock.close()
        assert other.take()
        other.close()

    def test_a_worker_that_lost_its_name_ends_by_itself(self, tmp_path, server, url):
        """It says why, and does not go on beside the other one."""
        process = QueueProcess(tmp_path / "home", "compress-1", ["compress"], environment=environment_of(
            url, tmp_path / "shared"), log=tmp_path / "log")
        engine = database.connect(url)
        process.start()
        wait_until(lambda: workers(engine), 60, process.said)
        with Rival(url, "compress-1"):
            wait_until(lambda: is_waited_for(server), 10, process.said)
            server.execute(_END_SESSIONS)
            wait_until(lambda: "took over as 'compress-1'" in process.said(), 20, process.said)
            time.sleep(1.0)
            assert not process.stop(), "it still ran"
        engine.dispose()


class TestClocks:
    @pytest.mark.parametrize("ahead_s", [-HOUR_S, HOUR_S])
    def test_who_lives_is_told_by_the_servers_clock(self, url, ahead_s):
        """Neither a worker's clock nor that of who asks matters."""
        engine = database.connect(url)
        beating = Beating(engine, "devices-a", ("devices:a",), clock=lambda: time.time() + ahead_s)
        beating.start()
        for now_s in (None, time.time() - 2 * ahead_s, time.time() + 2 * ahead_s):
            (found,) = workers(engine, now_s)
            assert found.is_alive
            assert found.age_s < HOUR_S / 2
        beating.stop()
        assert workers(engine) == ()
        engine.dispose()


def version(url, change=None):
    """Version of dbos's tables, after changing it by so much."""
    engine = database.connect(url)
    with engine.begin() as connection:
        if change is not None:
            connection.execute(text("UPDATE dbos.dbos_migrations SET version = version + :change"), {"change": change})
        found = connection.execute(text("SELECT version FROM dbos.dbos_migrations")).scalar()
    engine.dispose()
    return found


class TestVersions:
    def test_tables_of_a_newer_dbos_are_refused_and_left_alone(self, url):
        database.prepare(url)
        known = version(url)
        assert version(url, +1) == known + 1
        for opening in (database.prepare, database.client):
            with pytest.raises(StoreError, match=rf"version {known + 1}, .* up to {known}\. Update the lab") as caught:
                opening(url)
            assert "127.0.0.1" in str(caught.value)
            assert "secret" not in str(caught.value), "the password"
        assert version(url, -1) == known
        database.client(url).destroy()

    def test_tables_of_an_older_dbos_are_brought_up_to_date(self, url):
        """With what waits in them."""
        from dbos._migration import get_dbos_migrations
        steps = get_dbos_migrations("dbos", use_listen_notify=True)
        made = 9
        engine = database.connect(url)
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            for sql in ["CREATE SCHEMA dbos", *steps[:made],
                        "CREATE TABLE dbos.dbos_migrations (version BIGINT NOT NULL PRIMARY KEY)",
                        f"INSERT INTO dbos.dbos_migrations VALUES ({made})",
                        "INSERT INTO dbos.workflow_status (workflow_uuid, status) VALUES ('old', 'ENQUEUED')"]:
                connection.execute(text(sql))
        engine.dispose()
        client = database.client(url)
        found = client.list_workflows(load_input=False, load_output=False)
        client.destroy()
        assert [(each.workflow_id, each.status) for each in found] == [("old", "ENQUEUED")]
        assert version(url) == len(steps)


class Heard:
    """The queues that were rung for."""

    def __init__(self):
        self.names = []
        self._changed = threading.Condition()

    def __call__(self, name):
        with self._changed:
            self.names.append(name)
            self._changed.notify_all()

    def wait_for(self, name, engine):
        """Ring until it is heard: nobody knows when a listener has its connection."""
        with self._changed:
            for _ in range(round(BELL_S / 0.2)):
                ring(engine, [name])
                if self._changed.wait_for(lambda: name in self.names, 0.2):
                    return
        pytest.fail(f"never heard of {name}, only of {self.names}")


@pytest.fixture
def engine(url):
    made = database.connect(url)
    yield made
    made.dispose()


@pytest.fixture
def listening(url):
    heard = Heard()
    found = Listening(url, heard)
    found.start()
    yield heard
    found.stop()


def test_a_bell_is_heard_by_other_processes(engine, listening):
    listening.wait_for("control", engine)
    ring(engine, ["dev.site-b", "compress"])
    listening.wait_for("last", engine)
    kept = [name for name in listening.names if name not in {"control", "last"}]
    assert kept == ["compress", "dev.site-b"]


def test_a_bell_is_heard_again_after_the_server_went_away(server, engine, listening):
    listening.wait_for("before", engine)
    server.stop("immediate")
    ring(engine, ["lost"])
    server.start()
    listening.wait_for("after", engine)
    assert "lost" not in listening.names


def test_workers_that_start_together_all_come_into_the_roster(engine, url):
    """PostgreSQL lets one of them make the table and tells the others that it exists, in spite of IF NOT EXISTS."""
    together = threading.Barrier(8)
    engines = [database.connect(url) for _ in range(8)]
    beating = [Beating(each, f"worker-{number}", ("compress",)) for number, each in enumerate(engines)]

    def start(one):
        together.wait()
        one.start()

    threads = [threading.Thread(target=start, args=(one,)) for one in beating]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    try:
        assert [line.executor_id for line in workers(engine)] == [f"worker-{number}" for number in range(8)]
    finally:
        for one, each in zip(beating, engines, strict=True):
            one.stop()
            each.dispose()
