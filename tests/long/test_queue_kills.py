"""Fifty kills at random moments over all processes of the queue: every block ends up measured once, none is lost."""

from __future__ import annotations

import pytest

from tests.conftest import need
from tests.support.postgres import AVAILABLE, Postgres
from tests.support.queue_kills import survive

pytestmark = [pytest.mark.long, pytest.mark.timeout(1200)]
KILLS = 50


def test_fifty_kills_with_one_home_and_a_file_as_queue(tmp_path):
    """Controller, compress worker and two device workers on one machine, SQLite."""
    survive(tmp_path, kills=KILLS)


def test_fifty_kills_with_homes_apart_and_postgres(tmp_path, monkeypatch):
    """Every worker with a home of its own, PostgreSQL and a shared folder."""
    need("postgres", AVAILABLE)
    with Postgres() as server:
        monkeypatch.setenv("LAB_ENGINE_URL", server.url())
        survive(tmp_path, kills=KILLS, engine_url=server.url(), apart=True)
