"""Opening the database: private, at today's layout, or refused with the reason."""

import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from sqlite_utils import Database

from lab.errors import StoreError
from lab.store.database import DATABASE_NAME, open_database
from lab.store.migrations import STEPS, migrations_of
from lab.store.store import Store
from tests.support import samples

FIRST_LAYOUT = Path(__file__).parents[3] / "data" / "store" / "m0001_first_layout.sql"
SUFFIXES = ("_ns", "_s", "_j", "_w", "_v", "_a", "_c", "_hz", "_bytes", "_ratio", "_ppm")
COUNTS_AND_NAMES = {
    "id", "result_id", "latency_comparison_id", "energy_comparison_id", "position", "seed", "number", "attempt",
    "opset", "ir_version", "parameters", "macs", "n_blocks", "n_inferences", "inferences", "n_devices",
    "deadline_misses", "cells_total", "cells_done", "cells_failed", "ratio",
    "energy_gross_coverage_factor", "energy_net_coverage_factor", "priority", "epoch", "failures", "fence", "transient",
}
"""Numbers without a dimension."""


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def database(lab_home):
    with open_database(lab_home) as opened:
        yield opened


def test_database_and_home_are_private(tmp_path):
    home = tmp_path / "new" / "home"
    with open_database(home):
        assert mode(home) == 0o700
        assert {path.name: mode(path) for path in home.iterdir() if path.is_file()} == dict.fromkeys(
            (path.name for path in home.iterdir()), 0o600)


def test_a_home_that_others_could_read_is_closed_to_them(lab_home):
    lab_home.chmod(0o755)
    open_database(lab_home).close()
    assert mode(lab_home) == 0o700


def test_a_shared_temporary_folder_keeps_its_mode(lab_home):
    lab_home.chmod(0o1777)
    open_database(lab_home).close()
    assert mode(lab_home) == 0o1777


def test_it_is_durable_concurrent_and_checks_references(database):
    pragma = {name: database.execute(f"PRAGMA {name}").fetchone()[0]
              for name in ("journal_mode", "synchronous", "foreign_keys")}
    assert pragma == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


def test_every_table_is_strict(database):
    assert {table.name for table in database.tables if not table.strict} == {"_sqlite_migrations"}


def test_every_number_with_a_dimension_names_its_unit(database):
    unnamed = []
    for table in database.tables:
        if table.name != "_sqlite_migrations":
            unnamed += [column.name for column in table.columns if column.type in {"INTEGER", "REAL"}]
    for view in database.views:
        unnamed += [column.name for column in view.columns if column.type in {"INTEGER", "REAL"}]
    unnamed = [name for name in unnamed if not name.endswith(SUFFIXES) and name not in COUNTS_AND_NAMES]
    assert unnamed == []


def test_views_number_columns_name_their_unit_too(database):
    """Computed columns have no declared type, so those are told by their expression."""
    names = [column.name for view in database.views for column in view.columns if column.type == ""]
    texts = {"campaign", "answer", "latency_answer", "energy_answer", "preset", "measured_utc"}
    assert [name for name in names
            if not name.endswith(SUFFIXES) and name not in COUNTS_AND_NAMES and name not in texts] == []


def test_opening_again_changes_nothing(lab_home):
    with open_database(lab_home) as first:
        before = first.schema
    with open_database(lab_home) as second:
        assert second.schema == before


def test_an_older_database_is_brought_up_to_date_and_keeps_its_rows(lab_home):
    def add_colour(db):
        db.table("devices").add_column("colour", str)

    with open_database(lab_home) as old:
        old.table("devices").insert({"name": "board", "url": "local", "profile": "p", "added_utc": "now"})
    with open_database(lab_home, steps={**STEPS, "m9999_add_colour": add_colour}) as new:
        assert [(row["name"], row["colour"]) for row in new.table("devices").rows] == [("board", None)]


def test_a_migration_that_fails_leaves_the_old_layout(lab_home):
    def break_off(db):
        db.table("devices").add_column("colour", str)
        raise sqlite3.OperationalError("disk full")

    open_database(lab_home).close()
    with pytest.raises(StoreError, match="disk full"):
        open_database(lab_home, steps={**STEPS, "m9999_break_off": break_off})
    with open_database(lab_home) as database:
        assert "colour" not in database.table("devices").columns_dict


def test_a_newer_database_is_refused(lab_home):
    open_database(lab_home, steps={**STEPS, "m9999_future": lambda _db: None}).close()
    with pytest.raises(StoreError, match=r"newer JouleLab.*m9999_future"):
        open_database(lab_home)


@pytest.mark.parametrize("read_only", [False, True])
def test_a_file_that_is_no_database_is_refused_and_kept(lab_home, read_only):
    (lab_home / DATABASE_NAME).write_text("my notes, " * 100)
    with pytest.raises(StoreError, match=r"lab\.db"):
        open_database(lab_home, read_only=read_only)
    assert (lab_home / DATABASE_NAME).read_text().startswith("my notes")


def test_a_home_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "home").write_text("")
    with pytest.raises(StoreError, match="cannot open"):
        open_database(tmp_path / "home")


def test_reading_creates_no_database(tmp_path):
    with pytest.raises(StoreError, match="no lab database"):
        open_database(tmp_path / "home", read_only=True)
    assert list(tmp_path.iterdir()) == []


def test_reading_an_older_layout_is_refused(lab_home):
    with Database(lab_home / DATABASE_NAME) as old:
        migrations_of({}).ensure_migrations_table(old)
    with pytest.raises(StoreError, match="older layout"):
        open_database(lab_home, read_only=True)


def test_a_reader_cannot_write(lab_home):
    open_database(lab_home).close()
    with open_database(lab_home, read_only=True) as reader, pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.execute("DELETE FROM devices")


def test_processes_that_open_at_once_agree_on_one_layout(lab_home):
    code = ("import sys, pathlib\nfrom lab.store.database import open_database\n"
            "database = open_database(pathlib.Path(sys.argv[1])); print(len(database.table_names())); database.close()")
    opened = [subprocess.Popen([sys.executable, "-c", code, str(lab_home)], stdout=subprocess.PIPE, text=True)
              for _ in range(4)]
    outputs = [process.communicate()[0].strip() for process in opened]
    assert [process.returncode for process in opened] == [0] * 4
    assert len(set(outputs)) == 1


def test_a_database_of_the_first_layout_is_still_read(lab_home):
    """The file holds what the first layout's store wrote; it is never made again."""
    connection = sqlite3.connect(lab_home / DATABASE_NAME)
    connection.executescript(FIRST_LAYOUT.read_text())
    connection.close()
    with Store.open(lab_home) as store:
        baseline, row = store.result_rows(campaign="first")
        assert (baseline.technique, row.technique, row.state) == ("baseline", "int8", "done")
        assert row.result == samples.result(row.result.cell_id)
        assert row.latency_ratio == samples.comparison(row.result.cell_id, baseline.result.cell_id)
        assert store.lineage(row.artifact_sha256) == samples.compressed().outcomes
        assert store.facts("board")[0] == samples.facts()
        assert [event.kind for event in store.events(store.campaign("first").id)] == ["ConnectFailed"]


def layout_of(db):
    """Everything about a layout but how its SQL is spaced."""
    tables = {table.name: (table.columns, sorted(table.foreign_keys, key=str), table.pks, table.strict,
                           sorted((index.columns, index.unique) for index in table.indexes)) for table in db.tables}
    return tables, {view.name: view.schema.split() for view in db.views}


def test_the_first_layout_was_not_edited(database):
    with Database(memory=True) as kept, Database(memory=True) as made:
        kept.conn.executescript(FIRST_LAYOUT.read_text())
        migrations_of({"m0001_first_layout": STEPS["m0001_first_layout"]}).apply(made)
        assert layout_of(made) == layout_of(kept)
        assert len(layout_of(made)[0]) == 13


def layout_after(n_steps):
    with Database(memory=True) as made:
        migrations_of(dict(list(STEPS.items())[:n_steps])).apply(made)
        return layout_of(made)


def columns_added(before, after):
    """What tables of both layouts have more, as (table, column, type, not null, default)."""
    return [(name, column.name, column.type, bool(column.notnull), column.default_value) for name in before
            for column in after[name][0] if column.name not in {old.name for old in before[name][0]}]


def test_the_second_layout_adds_the_artifact_of_a_window_and_nothing_else():
    (before, views_before), (after, views) = layout_after(1), layout_after(2)
    assert columns_added(before, after) == [("windows", "artifact_sha256", "TEXT", False, None)]
    assert {name: before[name] for name in before if name != "windows"} == {
        name: after[name] for name in after if name != "windows"}
    assert views == views_before


def test_the_third_layout_adds_what_the_queue_needs_and_nothing_else():
    (before, views_before), (after, views) = layout_after(2), layout_after(3)
    assert set(after) - set(before) == {"block_attempts", "device_health", "reservations", "grants"}
    assert columns_added(before, after) == [
        ("devices", "agent_host", "TEXT", True, "'controller'"), ("devices", "pools", "TEXT", True, "'[]'"),
        ("devices", "power", "TEXT", True, "'[]'"), ("campaigns", "priority", "INTEGER", True, "10"),
        ("campaigns", "epoch", "INTEGER", True, "0")]
    changed = {"devices", "campaigns"}
    assert all(after[name] == before[name] for name in before if name not in changed)
    assert {name for name in views if views[name] != views_before[name]} == {"campaign_view"}
    assert {name: after[name][2] for name in set(after) - set(before)} == {
        "block_attempts": ["block_id", "attempt"], "device_health": ["device"], "reservations": ["device"],
        "grants": ["id"]}


def test_the_fourth_layout_adds_reboots_and_quotas_and_nothing_else():
    (before, views_before), (after, views) = layout_after(3), layout_after(4)
    assert set(after) - set(before) == {"quotas"}
    assert columns_added(before, after) == [("devices", "reboot", "TEXT", False, None)]
    assert all(after[name] == before[name] for name in before if name != "devices")
    assert (after["quotas"][2], views) == (["owner"], views_before)


def test_a_database_of_the_first_layout_becomes_the_same_as_a_new_one(tmp_path):
    (tmp_path / "old").mkdir()
    connection = sqlite3.connect(tmp_path / "old" / DATABASE_NAME)
    connection.executescript(FIRST_LAYOUT.read_text())
    connection.close()
    with open_database(tmp_path / "old") as old, open_database(tmp_path / "new") as new:
        assert layout_of(old) == layout_of(new)


def test_devices_and_campaigns_of_before_the_queue_have_the_usual_place_in_it(lab_home):
    connection = sqlite3.connect(lab_home / DATABASE_NAME)
    connection.executescript(FIRST_LAYOUT.read_text())
    connection.close()
    with Store.open(lab_home) as store:
        assert {(each.agent_host, each.pools, each.power) for each in store.devices()} == {("controller", (), ())}
        summary = store.campaign("first")
        assert (summary.priority, summary.epoch, summary.cells_total) == (10, 0, 2)
        assert (store.attempts(), store.grants(), store.reservation("board")) == ((), (), None)
        assert store.next_epoch(summary.id) == 1


def test_windows_of_the_first_layout_name_no_artifact(lab_home):
    connection = sqlite3.connect(lab_home / DATABASE_NAME)
    connection.executescript(FIRST_LAYOUT.read_text())
    connection.close()
    with open_database(lab_home) as database:
        assert [row["artifact_sha256"] for row in database.table("windows").rows] == [None]


def test_importing_the_store_loads_no_heavy_library():
    heavy = ("torch", "pandas", "pyarrow", "sqlite_utils", "scipy")
    code = f"import sys, lab.store.store; print([name for name in {heavy} if name in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                         env=dict(os.environ))
    assert out.stdout.strip() == "[]"
