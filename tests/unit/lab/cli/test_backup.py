"""`lab backup`, `lab restore` and `lab gc`, as people and scripts meet them."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab.store.store import Store
from tests.support import samples

ROOT = Path(__file__).resolve().parents[4]
CAMPAIGN_ID = "c0ffee0123456789"
OLD_S = 30 * 24 * 3600


def lab(home, *words):
    environment = {**os.environ, "LAB_HOME": str(home), "PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, "-m", "lab.cli.main", *words], env=environment, text=True,
                          capture_output=True, check=False)


@contextmanager
def held(path):
    """A lock as a working process holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@pytest.fixture
def filled(lab_home):
    """A home with one window, one artifact that is named and one, a month old, that is not."""
    with Store.open(lab_home) as store:
        store.save_device(samples.DEVICE)
        store.save_campaign(CAMPAIGN_ID, samples.campaign(), samples.WORKLOAD_SHA256, "")
        store.save_cells(CAMPAIGN_ID, [samples.cell()])
        store.set_campaign_state(CAMPAIGN_ID, "done")
        store.ingest_window(samples.recording(), campaign_id=CAMPAIGN_ID, device="board", block_number=0)
        store.save_compressed(samples.WORKLOAD_SHA256,
                              samples.compressed(sha256=store.artifacts.add_bytes(b"named")), samples.INT8)
        old_s = time.time() - OLD_S
        os.utime(store.artifacts.path(store.artifacts.add_bytes(b"orphan")), (old_s, old_s))
    return lab_home


def artifacts_in(home):
    return sorted(path.read_bytes() for path in (home / "artifacts").glob("*/*"))


def test_a_backup_comes_back_as_the_lab_it_was(filled, tmp_path):
    archive, again = tmp_path / "lab.tar.gz", tmp_path / "again"
    saved = lab(filled, "backup", str(archive))
    assert saved.returncode == 0, saved.stderr
    assert f"Wrote {archive}: 4 files" in saved.stdout
    assert [line for line in saved.stderr.splitlines() if line.endswith("…")] == saved.stderr.splitlines()
    came = lab(again, "restore", str(archive))
    assert came.returncode == 0, came.stderr
    assert came.stdout.startswith("Restored 4 files")
    assert f"into {again}" in came.stdout
    assert lab(again, "results", "--json").stdout == lab(filled, "results", "--json").stdout
    assert lab(again, "devices", "list", "--json").stdout == lab(filled, "devices", "list", "--json").stdout
    assert artifacts_in(again) == artifacts_in(filled)


def test_a_backup_is_taken_beside_a_controller(filled, tmp_path):
    with held(filled / "locks" / "executor-controller.lock"), held(filled / "controller.lock"):
        saved = lab(filled, "backup", str(tmp_path / "lab.tar.gz"))
    assert saved.returncode == 0, saved.stderr


def test_what_a_backup_lacks_is_told_on_stderr(filled, tmp_path):
    (trace,) = (filled / "traces").rglob("*.parquet")
    trace.unlink()
    saved = lab(filled, "backup", str(tmp_path / "lab.tar.gz"))
    assert saved.returncode == 0
    assert "Note: 1 files are named by the database but not in" in saved.stderr
    assert trace.name in saved.stderr
    assert (tmp_path / "lab.tar.gz").exists()


def test_a_backup_without_a_lab_or_over_another_fails_with_its_reason(filled, tmp_path):
    (tmp_path / "old.tar.gz").write_text("old")
    for home, file, text in ((filled, "old.tar.gz", "replaces nothing"), (tmp_path / "no", "new.tar.gz", "LAB_HOME")):
        done = lab(home, "backup", str(tmp_path / file))
        assert done.returncode == 1
        assert done.stderr.startswith("Error: ")
        assert text in done.stderr
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize("lock", ["controller.lock", "locks/executor-controller.lock", "locks/executor-pi.lock"])
def test_a_restore_is_refused_while_somebody_works_there(filled, tmp_path, lock):
    archive, again = tmp_path / "lab.tar.gz", tmp_path / "again"
    lab(filled, "backup", str(archive))
    with held(again / lock):
        refused = lab(again, "restore", str(archive))
    assert refused.returncode == 1
    assert f"Cannot restore while somebody works with {again}: {again / lock} is held" in refused.stderr
    assert not (again / "lab.db").exists()
    came = lab(again, "restore", str(archive))
    assert came.returncode == 0, came.stderr
    assert (again / lock).exists()


def test_a_restore_replaces_nothing(filled, tmp_path):
    archive = tmp_path / "lab.tar.gz"
    lab(filled, "backup", str(archive))
    before = (filled / "lab.db").read_bytes()
    refused = lab(filled, "restore", str(archive))
    assert refused.returncode == 1
    assert "expected an empty folder" in refused.stderr
    assert (filled / "lab.db").read_bytes() == before


def test_a_missing_archive_is_a_wrong_word(tmp_path):
    done = lab(tmp_path / "home", "restore", str(tmp_path / "nowhere.tar.gz"))
    assert done.returncode == 2
    assert "nowhere.tar.gz" in done.stderr
    assert not (tmp_path / "home").exists()


def test_a_damaged_archive_is_refused_without_a_traceback(filled, tmp_path):
    archive = tmp_path / "lab.tar.gz"
    lab(filled, "backup", str(archive))
    archive.write_bytes(archive.read_bytes()[:-200])
    done = lab(tmp_path / "again", "restore", str(archive))
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "again").exists()


def test_gc_lists_then_removes_what_nothing_names(filled):
    would = lab(filled, "gc", "--dry-run")
    assert would.returncode == 0, would.stderr
    assert would.stdout.startswith("Would remove 1 artifacts, 0 recordings and 0 half-written files: 0.0 MB.")
    assert artifacts_in(filled) == [b"named", b"orphan"]
    (listed,) = [line.strip() for line in would.stdout.splitlines()[1:]]
    assert (filled / listed).read_bytes() == b"orphan"
    done = json.loads(lab(filled, "gc", "--json").stdout)
    assert done == {"artifacts": [listed], "traces": [], "half_written": [], "freed_bytes": 6, "kept_for": [],
                    "is_dry_run": False}
    assert artifacts_in(filled) == [b"named"]
    assert json.loads(lab(filled, "gc", "--json").stdout)["artifacts"] == []


def test_gc_keeps_what_is_younger_than_it_is_told(filled):
    assert json.loads(lab(filled, "gc", "--keep-days", "40", "--json").stdout)["artifacts"] == []
    refused = lab(filled, "gc", "--keep-days", "0")
    assert refused.returncode == 2
    assert "--keep-days" in refused.stderr
    assert artifacts_in(filled) == [b"named", b"orphan"]


def test_gc_removes_nothing_beside_a_controller_but_may_look(filled):
    with held(filled / "locks" / "executor-controller.lock"):
        refused = lab(filled, "gc")
        assert refused.returncode == 1
        assert "Cannot remove files while somebody works" in refused.stderr
        assert lab(filled, "gc", "--dry-run").returncode == 0
    assert artifacts_in(filled) == [b"named", b"orphan"]


def test_gc_says_for_whose_sake_it_keeps_artifacts(filled):
    with Store.open(filled) as store:
        store.set_campaign_state(CAMPAIGN_ID, "waiting")
    done = lab(filled, "gc")
    assert done.returncode == 0
    assert "unfinished: first." in done.stderr
    assert artifacts_in(filled) == [b"named", b"orphan"]


def test_gc_without_a_lab_makes_none(tmp_path):
    done = lab(tmp_path / "home", "gc")
    assert done.returncode == 1
    assert "no lab database" in done.stderr
    assert not (tmp_path / "home").exists()
