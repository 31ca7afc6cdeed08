"""Eight kills at random moments over all processes of the queue; the fifty are in tests/long/test_queue_kills.py."""

from __future__ import annotations

import pytest

from lab.campaigns.engine import database
from tests.conftest import need
from tests.support.campaigns import real_services, write_pair
from tests.support.outages import WHOLE_S, database_away_for
from tests.support.postgres import AVAILABLE, Postgres
from tests.support.queue_kills import DEVICES, check_whole, is_over, register, submit, survive
from tests.support.queue_processes import Bench
from tests.support.two_sites import wait_until

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]
KILLS = 8


def test_kills_with_one_home_and_a_file_as_queue(tmp_path):
    """All processes on one machine, SQLite: every block once, nothing lost, nothing at the same time."""
    survive(tmp_path, kills=KILLS)


def test_kills_with_homes_apart_and_postgres(tmp_path, monkeypatch):
    """Every worker with a home of its own, PostgreSQL and a shared folder: the same."""
    need("postgres", AVAILABLE)
    with Postgres() as server:
        monkeypatch.setenv("LAB_ENGINE_URL", server.url())
        survive(tmp_path, kills=KILLS, engine_url=server.url(), apart=True)


def test_postgres_is_stopped_at_once_and_started_again_in_the_middle(tmp_path, monkeypatch):
    """Every process loses its connections while both devices have blocks to measure; none needs to be started again."""
    need("postgres", AVAILABLE)
    with Postgres() as server, Bench(tmp_path, engine_url=server.url(), apart=True) as bench:
        monkeypatch.setenv("LAB_ENGINE_URL", server.url())
        with real_services(bench.home) as services:
            register(services)
            campaign_id = submit(services, write_pair(tmp_path / "pair"), "outage-0")
            orders = [tmp_path / f"home-devices-{host}/spool/orders" for host in DEVICES.values()]
            wait_until(lambda: all(list(folder.glob("*.json")) for folder in orders), WHOLE_S, bench.said)
            database_away_for(server, 3.0)
            wait_until(lambda: is_over(services.store, campaign_id), WHOLE_S, bench.said)
        check_whole(bench, campaign_id)


def test_a_process_that_comes_while_another_makes_the_tables_waits_for_them_all():
    """Some of them being there is not enough: the first call into the queue would fail for want of a column."""
    need("postgres", AVAILABLE)
    with Postgres() as server:
        database.prepare(server.url())
        (latest,), = server.execute("SELECT version FROM dbos.dbos_migrations")
        server.execute(f"UPDATE dbos.dbos_migrations SET version = {latest - 1}")
        database.prepare(server.url())
        assert server.execute("SELECT version FROM dbos.dbos_migrations") == [(latest,)]
