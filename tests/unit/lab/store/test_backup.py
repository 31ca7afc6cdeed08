"""A backup holds one moment of the lab, whatever goes on meanwhile; what comes back is that moment or nothing."""

import hashlib
import json
import sqlite3
import stat
import tarfile
import threading
from contextlib import closing

import pytest

from lab.errors import StoreError
from lab.store.archive import ENGINE_NAME, MANIFEST_NAME
from lab.store.backup import backup
from lab.store.restore import restore
from lab.store.store import Store
from tests.support import samples

from .conftest import CAMPAIGN_ID


def ingest(store, number):
    data = samples.recording(block_id=f"block-{number}", cpu_ns=number)
    store.ingest_window(data, campaign_id=CAMPAIGN_ID, device="board", block_number=number)
    return hashlib.sha256(data).hexdigest()


def add_model(store, data=b"model"):
    sha256 = store.artifacts.add_bytes(data)
    store.save_compressed(samples.WORKLOAD_SHA256, samples.compressed(sha256=sha256), samples.INT8)
    return sha256


def window_hashes(store):
    return [row["sha256"] for row in store._rows("SELECT sha256 FROM windows ORDER BY id")]


def put(home, name, data=b"x"):
    path = home / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def names_in(archive):
    with tarfile.open(archive) as tar:
        return tar.getnames()


def manifest_in(archive):
    with tarfile.open(archive) as tar:
        return json.loads(tar.extractfile(MANIFEST_NAME).read())


def test_everything_that_cannot_be_made_again_comes_back(filled, tmp_path):
    model, trace = add_model(filled), ingest(filled, 1)
    kept = {"known_hosts": b"pi ssh-ed25519", "home-id": b"abcdef", "profiles/my board.yaml": b"name: mine",
            "spool/b7/manifest.json": b"{}", "spool/b7/aa.rec": b"window", "spool/orders/b7.json": b"{}",
            "spool/orders/b7.attempt": b"1", "spool/rejected/b3-1/manifest.json": b"{}",
            "workloads/digits-0/weights.pt": b"weights"}
    left = ("cache/ab/x", "agents/pi/state", "spool/b7/bb.rec.part", "workloads/.digits-1/entry", "workloads/x.partial",
            "lab.db.migrating", "locks/executor-controller.lock")
    for name, data in kept.items():
        put(filled.home, name, data)
    for name in left:
        put(filled.home, name)
    report = backup(filled.home, tmp_path / "lab.tar.gz")
    assert (report.missing, report.damaged) == ((), ())
    assert report.files == len(kept) + 3
    assert report.archive_bytes == (tmp_path / "lab.tar.gz").stat().st_size
    again = tmp_path / "again"
    came = restore(tmp_path / "lab.tar.gz", again)
    assert came.files == report.files
    assert {name: (again / name).read_bytes() for name in kept} == kept
    assert {path.relative_to(again).as_posix() for path in again.rglob("*") if path.is_file()} == {
        *kept, "lab.db", f"artifacts/{model[:2]}/{model}", f"traces/{trace[:2]}/{trace}.parquet"}
    with Store.open(again) as store:
        store.artifacts.verify(model)
        (block,) = store.cell_blocks(samples.cell().id)
        assert block.window.sha256 == trace
        assert store.result_rows() == filled.result_rows()


def test_the_archive_and_what_comes_back_are_private(filled, tmp_path):
    add_model(filled)
    backup(filled.home, tmp_path / "lab.tar.gz")
    assert stat.S_IMODE((tmp_path / "lab.tar.gz").stat().st_mode) == 0o600
    restore(tmp_path / "lab.tar.gz", tmp_path / "again")
    assert stat.S_IMODE((tmp_path / "again").stat().st_mode) == 0o700
    files = [path for path in (tmp_path / "again").rglob("*") if path.is_file()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


def test_nothing_is_left_beside_the_archive(filled, tmp_path):
    ingest(filled, 1)
    backup(filled.home, tmp_path / "backups" / "lab.tar.gz")
    assert [path.name for path in (tmp_path / "backups").iterdir()] == ["lab.tar.gz"]


def test_the_manifest_closes_the_archive_and_names_every_member(filled, tmp_path):
    ingest(filled, 1)
    backup(filled.home, tmp_path / "lab.tar.gz")
    manifest, names = manifest_in(tmp_path / "lab.tar.gz"), names_in(tmp_path / "lab.tar.gz")
    assert names[-1] == MANIFEST_NAME
    assert sorted(manifest["files"]) == sorted(names[:-1])
    assert manifest["layout"][0] == "m0001_first_layout"
    with tarfile.open(tmp_path / "lab.tar.gz") as tar:
        for name, member in manifest["files"].items():
            data = tar.extractfile(name).read()
            assert member == {"sha256": hashlib.sha256(data).hexdigest(), "size_bytes": len(data)}


def test_a_backup_beside_a_writer_is_a_prefix_of_what_was_written(filled, tmp_path):
    """Thirty windows arrive while archives are made; every archive opens and holds the first n of them, whole."""
    written, is_done, failed = [], threading.Event(), []

    def write():
        try:
            with Store.open(filled.home) as own:
                for number in range(30):
                    written.append(ingest(own, number))  # noqa: PERF401 its length is read while it grows
        except Exception as error:  # noqa: BLE001 a thread's error fails no test by itself
            failed.append(error)
        finally:
            is_done.set()

    writer = threading.Thread(target=write)
    writer.start()
    archives = []
    while not is_done.is_set() or not archives:
        archives.append((len(written), tmp_path / f"{len(archives)}.tar.gz"))
        backup(filled.home, archives[-1][1])
    writer.join()
    assert failed == []
    for at_least, archive in archives:
        restore(archive, tmp_path / archive.stem)
        with Store.open(tmp_path / archive.stem) as store:
            found = window_hashes(store)
            assert found == written[:len(found)]
            assert len(found) >= at_least
            assert len(store.cell_blocks(samples.cell().id)) == len(found)


def test_the_queue_is_copied_while_it_is_written_to(filled, tmp_path):
    with closing(sqlite3.connect(filled.home / ENGINE_NAME)) as engine:
        engine.execute("PRAGMA journal_mode = WAL")
        engine.execute("CREATE TABLE calls (id INTEGER)")
        engine.execute("INSERT INTO calls VALUES (1)")
        engine.commit()
        engine.execute("INSERT INTO calls VALUES (2)")  # not committed
        backup(filled.home, tmp_path / "lab.tar.gz")
        engine.commit()
    restore(tmp_path / "lab.tar.gz", tmp_path / "again")
    with closing(sqlite3.connect(tmp_path / "again" / ENGINE_NAME)) as engine:
        assert engine.execute("SELECT id FROM calls").fetchall() == [(1,)]


def test_the_queue_comes_before_the_spool_and_the_spool_before_the_database(filled, tmp_path):
    """A block that moves on meanwhile is in the archive twice, never lost."""
    with closing(sqlite3.connect(filled.home / ENGINE_NAME)) as engine:
        engine.execute("CREATE TABLE calls (id INTEGER)")
    for name in ("spool/b7/manifest.json", "spool/b7/zz.rec", "spool/rejected/b3/x.rec"):
        put(filled.home, name)
    ingest(filled, 1)
    backup(filled.home, tmp_path / "lab.tar.gz")
    names = names_in(tmp_path / "lab.tar.gz")
    assert names[:5] == [ENGINE_NAME, "spool/b7/zz.rec", "spool/b7/manifest.json", "spool/rejected/b3/x.rec", "lab.db"]


def test_a_block_that_leaves_the_spool_meanwhile_is_left_out_and_in_the_database(filled, tmp_path):
    for name in ("spool/b1/aa.rec", "spool/b2/bb.rec", "spool/b2/manifest.json"):
        put(filled.home, name)

    def ingested(text, _fraction):
        if text == "queue and spool":
            for name in ("manifest.json", "bb.rec"):
                (filled.home / "spool" / "b2" / name).unlink()
            ingest(filled, 1)

    backup(filled.home, tmp_path / "lab.tar.gz", ingested)
    restore(tmp_path / "lab.tar.gz", tmp_path / "again")
    assert not (tmp_path / "again/spool/b2").exists()
    assert (tmp_path / "again/spool/b1/aa.rec").exists()
    with Store.open(tmp_path / "again") as store:
        assert len(window_hashes(store)) == 1


def test_what_the_database_names_and_nobody_has_is_reported_and_the_rest_is_saved(filled, tmp_path):
    lost, kept, hurt = ingest(filled, 1), ingest(filled, 2), add_model(filled)
    (filled.traces / lost[:2] / f"{lost}.parquet").unlink()
    filled.artifacts.path(hurt).write_bytes(b"flipped")
    report = backup(filled.home, tmp_path / "lab.tar.gz")
    assert report.missing == (f"traces/{lost[:2]}/{lost}.parquet",)
    assert report.damaged == (f"artifacts/{hurt[:2]}/{hurt}",)
    assert f"traces/{kept[:2]}/{kept}.parquet" in names_in(tmp_path / "lab.tar.gz")
    restore(tmp_path / "lab.tar.gz", tmp_path / "again")
    assert (tmp_path / "again" / report.damaged[0]).read_bytes() == b"flipped"


def test_an_artifact_that_only_the_queue_names_is_saved_and_a_trace_that_nothing_names_is_not(filled, tmp_path):
    """A queued block binds a sample input that no line of the database names."""
    sample = filled.artifacts.add_bytes(b"sample input")
    half = f"artifacts/{sample[:2]}/.tmp-dead"
    for name in (half, f"traces/ab/ab{'0' * 62}.parquet", "artifacts/notes", "artifacts/ab/notes"):
        put(filled.home, name)
    backup(filled.home, tmp_path / "lab.tar.gz")
    assert names_in(tmp_path / "lab.tar.gz") == ["lab.db", f"artifacts/{sample[:2]}/{sample}", MANIFEST_NAME]


def test_progress_says_what_and_how_far(filled, tmp_path):
    for number in range(4):
        ingest(filled, number)
    said = []
    backup(filled.home, tmp_path / "lab.tar.gz", lambda *words: said.append(words))
    assert said == [("queue and spool", 0.0), ("database", 0.0), *(("traces", at / 4) for at in range(4))]


def test_an_existing_archive_is_not_replaced(filled, tmp_path):
    (tmp_path / "lab.tar.gz").write_bytes(b"the only one")
    with pytest.raises(StoreError, match="replaces nothing"):
        backup(filled.home, tmp_path / "lab.tar.gz")
    assert (tmp_path / "lab.tar.gz").read_bytes() == b"the only one"


def test_a_home_without_a_lab_is_no_backup(lab_home, tmp_path):
    with pytest.raises(StoreError, match="nothing to back up"):
        backup(lab_home, tmp_path / "lab.tar.gz")
    with closing(sqlite3.connect(lab_home / "lab.db")) as other:
        other.execute("CREATE TABLE songs (id INTEGER)")
    with pytest.raises(StoreError, match="no lab database"):
        backup(lab_home, tmp_path / "lab.tar.gz")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home"]


@pytest.mark.parametrize("content", [b"no database at all", b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_damaged_database_is_told_and_leaves_no_archive(lab_home, tmp_path, content):
    (lab_home / "lab.db").write_bytes(content)
    with pytest.raises(StoreError, match=r"cannot copy|damaged"):
        backup(lab_home, tmp_path / "lab.tar.gz")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home"]


def test_a_disk_that_refuses_leaves_no_archive(filled, tmp_path):
    (tmp_path / "in the way").write_text("a file")
    with pytest.raises(StoreError, match="cannot write the backup"):
        backup(filled.home, tmp_path / "in the way" / "lab.tar.gz")
    assert (tmp_path / "in the way").read_text() == "a file"


def test_an_error_half_way_leaves_no_archive(filled, tmp_path):
    ingest(filled, 1)

    def stop(text, _fraction):
        if text == "traces":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        backup(filled.home, tmp_path / "out" / "lab.tar.gz", stop)
    assert list((tmp_path / "out").iterdir()) == []
