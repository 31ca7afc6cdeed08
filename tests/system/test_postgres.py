"""The PostgreSQL server that other tests lean on: does it keep what it acknowledged, and keep out who should be out?"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.conftest import need
from tests.support.postgres import AVAILABLE, Postgres, self_signed

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def server():
    """Without TLS; tests leave it running."""
    need("postgres", AVAILABLE)
    with Postgres() as running:
        yield running


@pytest.fixture(scope="module")
def tls_server():
    """With TLS; tests leave it running."""
    need("postgres", AVAILABLE)
    with Postgres(tls=True) as running:
        yield running


def asked(conninfo, statement):
    """The first value of the first row."""
    import psycopg

    with psycopg.connect(conninfo, autocommit=True, connect_timeout=10) as connection:
        return connection.execute(statement).fetchone()[0]


def changed(conninfo, statement):
    """Run a statement and commit it."""
    import psycopg

    with psycopg.connect(conninfo, autocommit=True, connect_timeout=10) as connection:
        connection.execute(statement)


def refused(conninfo, statement="SELECT 1"):
    """The text of the error that connecting or asking raises."""
    import psycopg

    with pytest.raises(psycopg.Error) as caught:
        asked(conninfo, statement)
    return str(caught.value)


class TestRoles:
    def test_the_usual_role_owns_the_usual_database_and_is_no_superuser(self, server):
        assert asked(server.conninfo(), "SELECT current_user || ' ' || current_database()") == "lab lab"
        assert asked(server.conninfo(), "SELECT rolsuper FROM pg_roles WHERE rolname = 'lab'") is False
        changed(server.conninfo(), "CREATE TABLE owned (x int)")

    def test_a_wrong_password_is_refused(self, server):
        assert "password authentication failed" in refused(server.conninfo(password="guess"))

    def test_passwords_are_kept_as_scram(self, server):
        rows = server.execute("SELECT rolpassword FROM pg_authid WHERE rolname = 'lab'")
        assert rows[0][0].startswith("SCRAM-SHA-256$")

    def test_the_superuser_has_no_way_in_over_tcp(self, server):
        assert "password authentication failed" in refused(server.conninfo(user="postgres"))

    def test_another_role_may_log_in_but_not_read(self, server):
        server.create_role("worker", "p'a:s/s@%")
        changed(server.conninfo(), "CREATE TABLE secret (x int)")
        assert asked(server.conninfo(role="worker"), "SELECT current_user") == "worker"
        assert "permission denied" in refused(server.conninfo(role="worker"), "SELECT x FROM secret")

    def test_another_database_is_apart(self, server):
        server.create_database("spare", "lab")
        changed(server.conninfo(), "CREATE TABLE here (x int)")
        assert asked(server.conninfo("spare"), "SELECT to_regclass('here')") is None

    def test_sqlalchemy_takes_the_url(self, server):
        from sqlalchemy import create_engine, text

        engine = create_engine(server.url())
        with engine.connect() as connection:
            assert connection.execute(text("SELECT 6 * 7")).scalar_one() == 42
        engine.dispose()


class TestTls:
    def test_the_url_encrypts_and_checks_the_certificate(self, tls_server):
        mine = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
        assert "sslmode=verify-full" in tls_server.url()
        assert asked(tls_server.conninfo(), mine) is True

    def test_plain_text_is_refused(self, tls_server):
        assert "no encryption" in refused(tls_server.conninfo(sslmode="disable"))

    def test_a_certificate_of_somebody_else_is_not_believed(self, tls_server, tmp_path):
        other = tmp_path / "other.crt"
        other.write_text(self_signed("127.0.0.1")[0])
        assert "certificate verify failed" in refused(tls_server.conninfo(sslrootcert=other))

    def test_a_certificate_for_another_address_is_not_believed(self, tls_server):
        assert "does not match" in refused(tls_server.conninfo(host="localhost", hostaddr="127.0.0.1"))


    def test_the_rules_for_containers_are_understood_and_let_nobody_in_without_tls(self, tls_server):
        own = tls_server.folder / "pg_hba.conf"
        before = own.read_text()
        own.write_text((ROOT / "docker/pg_hba.conf").read_text())
        try:  # the view reads the file as it is now; what is in force stays so until a reload
            rules = tls_server.execute("SELECT type, auth_method, error FROM pg_hba_file_rules")
        finally:
            own.write_text(before)
        assert rules == [("local", "scram-sha-256", None), *[("hostssl", "scram-sha-256", None)] * 2]


class TestOutages:
    @pytest.mark.parametrize("mode", ["immediate", "fast"])
    def test_what_was_acknowledged_is_there_after_a_restart(self, mode):
        need("postgres", AVAILABLE)
        with Postgres() as server:
            changed(server.conninfo(), "CREATE TABLE kept (x int)")
            for number in range(20):
                changed(server.conninfo(), f"INSERT INTO kept VALUES ({number})")
            port, first = server.port, server.pid
            server.stop(mode)
            assert server.pid is None
            assert "refused" in refused(server.conninfo())
            server.start()
            assert asked(server.conninfo(), "SELECT count(*) FROM kept") == 20
            assert server.port == port
            assert server.pid != first

    def test_open_connections_break(self):
        import psycopg

        need("postgres", AVAILABLE)
        with Postgres() as server, psycopg.connect(server.conninfo()) as connection:
            connection.execute("SELECT 1")
            server.stop()
            server.start()
            with pytest.raises(psycopg.OperationalError):
                connection.execute("SELECT 1")
            assert connection.closed

    def test_starting_and_stopping_twice_is_doing_it_once(self, server):
        pid = server.pid
        server.start()
        assert server.pid == pid
        with Postgres() as other:
            other.stop()
            other.stop()
            assert other.pid is None
            assert asked(server.conninfo(), "SELECT 1") == 1


class TestCleanliness:
    def test_nothing_is_left(self):
        need("postgres", AVAILABLE)
        with Postgres() as server:
            folder, pid = server.folder, server.pid
            assert (folder / "data/PG_VERSION").exists()
        assert not folder.exists()
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)

    def test_it_never_runs_as_root(self, server):
        assert Path(f"/proc/{server.pid}").stat().st_uid != 0

    def test_a_server_that_does_not_start_says_why_and_leaves_nothing(self):
        need("postgres", AVAILABLE)
        server = Postgres(settings={"shared_buffers": "plenty"})
        with pytest.raises(RuntimeError, match=r'postgres ended at once(?s:.*)shared_buffers": "plenty"'):
            server.__enter__()
        assert not server.folder.exists()
        assert server.pid is None
