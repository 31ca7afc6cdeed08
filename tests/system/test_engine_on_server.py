"""What the engine does with a PostgreSQL server that it does not do with a file."""

from __future__ import annotations

import threading

import pytest

from lab.campaigns.engine.bell import Listening, ring
from lab.campaigns.engine.database import connect
from lab.campaigns.engine.roster import Beating, workers
from tests.conftest import need
from tests.support.postgres import AVAILABLE, ROLE, Postgres

pytestmark = pytest.mark.system
SOON_S = 30.0


@pytest.fixture(scope="module")
def server():
    """One server for all."""
    need("postgres", AVAILABLE)
    with Postgres() as running:
        yield running


@pytest.fixture
def url(server, request):
    """A new database, as the engine is told of it."""
    name = f"t{abs(hash(request.node.name))}"
    server.create_database(name, ROLE)
    return server.url(name).replace("postgresql://", "postgresql+psycopg://", 1)


@pytest.fixture
def engine(url):
    made = connect(url)
    yield made
    made.dispose()


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
            for _ in range(round(SOON_S / 0.2)):
                ring(engine, [name])
                if self._changed.wait_for(lambda: name in self.names, 0.2):
                    return
        pytest.fail(f"never heard of {name}, only of {self.names}")


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
    engines = [connect(url) for _ in range(8)]
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
