"""An archive is restored whole into an empty home, or refused; no moment of dying leaves half a lab."""

import fcntl
import io
import json
import os
import signal
import sqlite3
import subprocess
import sys
import tarfile
from contextlib import closing

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lab.errors import StoreError
from lab.store.backup import backup
from lab.store.restore import SCRATCH_NAME, restore
from lab.store.store import Store
from tests.support import samples

from .conftest import CAMPAIGN_ID


@pytest.fixture
def archive(filled, tmp_path):
    sha256 = filled.artifacts.add_bytes(b"model")
    filled.save_compressed(samples.WORKLOAD_SHA256, samples.compressed(sha256=sha256), samples.INT8)
    filled.ingest_window(samples.recording(), campaign_id=CAMPAIGN_ID, device="board", block_number=0)
    (filled.home / "home-id").write_text("abc")
    (filled.home / "spool" / "orders").mkdir(parents=True)
    (filled.home / "spool" / "orders" / "b.json").write_text("{}")
    backup(filled.home, tmp_path / "lab.tar.gz")
    return tmp_path / "lab.tar.gz"


@pytest.fixture
def again(tmp_path):
    return tmp_path / "again"


def rewritten(archive, change, *, extra=()):
    """The archive with its list of (TarInfo, bytes) changed."""
    with tarfile.open(archive) as tar:
        members = [(info, tar.extractfile(info).read()) for info in tar]
    target = archive.with_name("changed.tar.gz")
    with tarfile.open(target, "w:gz") as tar:
        for info, data in [*extra, *change(members)]:
            info.size = len(data) if info.isreg() else 0
            tar.addfile(info, io.BytesIO(data))
    return target


def with_manifest(archive, change):
    """The archive with its manifest changed."""
    def changed(members):
        *files, (info, data) = members
        manifest = json.loads(data)
        change(manifest)
        return [*files, (info, json.dumps(manifest).encode())]
    return rewritten(archive, changed)


def is_untouched(home):
    return not home.exists()


def is_whole(home):
    with Store.open(home) as store:
        (block,) = store.cell_blocks(samples.cell().id)
        return block.number == 0 and (home / "home-id").read_text() == "abc" and not (home / SCRATCH_NAME).exists()


def test_it_says_what_came_and_from_when(archive, again):
    said = []
    report = restore(archive, again, lambda *words: said.append(words))
    assert report.files == 5
    assert report.size_bytes == sum(path.stat().st_size for path in again.rglob("*") if path.is_file())
    assert report.created_utc.startswith("20")
    assert said[-1] == ("moving in", 1.0)
    assert {text for text, _ in said[:-1]} == {"unpacking"}
    assert all(0 <= fraction <= 1 for _, fraction in said)
    assert is_whole(again)


@pytest.mark.parametrize("name", ["lab.db", "artifacts/x", ".hidden", "anything", "spool/orders/b.json"])
def test_a_home_that_holds_something_is_refused_and_unchanged(archive, again, name):
    (again / name).parent.mkdir(parents=True)
    (again / name).write_text("mine")
    with pytest.raises(StoreError, match=r"expected an empty folder, found .*replaces nothing"):
        restore(archive, again)
    assert [path for path in again.rglob("*") if path.is_file()] == [again / name]
    assert (again / name).read_text() == "mine"


def test_a_checkouts_note_and_a_callers_lock_may_lie_there_and_stay(archive, again):
    (again / "locks").mkdir(parents=True)
    for name in ("README.md", "controller.lock", "locks/executor-controller.lock"):
        (again / name).write_text(name)
    inode = (again / "controller.lock").stat().st_ino
    restore(archive, again)
    assert (again / "README.md").read_text() == "README.md"
    assert (again / "controller.lock").stat().st_ino == inode
    assert is_whole(again)


@pytest.mark.parametrize("name", [
    "../evil", "/etc/evil", "spool/../../evil", "spool//evil", "./lab.db", "evil", "cache/x", "lab.db/x", "spool", "",
    "agents/pi/x", "controller.lock", ".restoring/x", "artifacts/..", "lab.db-wal",
])
def test_a_name_that_no_backup_writes_is_refused(archive, again, tmp_path, name):
    changed = rewritten(archive, lambda members: members, extra=[(tarfile.TarInfo(name), b"evil")])
    with pytest.raises(StoreError, match=r"is refused because of its member|is damaged at"):
        restore(changed, again)
    assert is_untouched(again)
    assert [path for path in tmp_path.rglob("*evil*") if path != changed] == []


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_folders_and_devices_are_refused(archive, again, tmp_path, kind):
    info = tarfile.TarInfo("profiles/x.yaml")
    info.type, info.linkname = kind, str(tmp_path / "home" / "home-id")
    with pytest.raises(StoreError, match="it is no plain file"):
        restore(rewritten(archive, lambda members: members, extra=[(info, b"")]), again)
    assert is_untouched(again)


@pytest.mark.parametrize("which", range(5))
def test_one_flipped_byte_in_any_member_is_found(archive, again, which):
    def flip(members):
        info, data = members[which]
        return [*members[:which], (info, data[:-1] + bytes([data[-1] ^ 1])), *members[which + 1:]]
    with pytest.raises(StoreError, match="is damaged at"):
        restore(rewritten(archive, flip), again)
    assert is_untouched(again)


def test_a_member_too_few_too_many_or_twice_is_found(archive, again):
    for change in (lambda members: members[1:], lambda members: [members[0], *members],
                   lambda members: [(tarfile.TarInfo("profiles/more.yaml"), b"x"), *members],
                   lambda members: [*members, (tarfile.TarInfo("profiles/more.yaml"), b"x")]):
        with pytest.raises(StoreError, match=r"is damaged at|comes twice"):
            restore(rewritten(archive, change), again)
        assert is_untouched(again)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_cut_off_archive_is_refused(archive, again, share):
    data = archive.read_bytes()
    archive.write_bytes(data[:int(len(data) * share)])
    with pytest.raises(StoreError, match=r"damaged|cut off"):
        restore(archive, again)
    assert is_untouched(again)


@pytest.mark.parametrize("content", [b"", b"text", b"\x1f\x8b" + b"\0" * 100])
def test_what_is_no_archive_is_refused(tmp_path, again, content):
    (tmp_path / "other").write_bytes(content)
    with pytest.raises(StoreError, match=r"no backup of a lab|cannot restore"):
        restore(tmp_path / "other", again)
    assert is_untouched(again)


def test_an_absent_archive_is_a_store_error(tmp_path, again):
    with pytest.raises(StoreError, match="cannot restore"):
        restore(tmp_path / "absent", again)
    assert is_untouched(again)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.floats(0, 1, exclude_max=True), bits=st.integers(0, 255))
def test_whatever_happens_to_an_archive_it_comes_back_whole_or_not_at_all(archive, tmp_path_factory, at, bits):
    """Cut off, or one byte changed: some bytes of a tar mean nothing, such as its last zeros."""
    data, here = bytearray(archive.read_bytes()), tmp_path_factory.mktemp("hurt")
    place = int(at * len(data))
    data[place:] = bytes([data[place] ^ bits]) + data[place + 1:] if bits else b""
    (here / "hurt").write_bytes(data)
    try:
        restore(here / "hurt", here / "again")
    except StoreError:
        assert is_untouched(here / "again")
    else:
        assert is_whole(here / "again")


def test_an_archive_without_a_manifest_is_refused(archive, again):
    with pytest.raises(StoreError, match="cut off"):
        restore(rewritten(archive, lambda members: members[:-1]), again)
    assert is_untouched(again)


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"format": "x"}', b'{"format": 1, "files": {"a": 1}}', b"\xff",
                                  b"[" * 100_000])
def test_a_manifest_that_is_none_is_refused(archive, again, data):
    with pytest.raises(StoreError, match="cannot be read"):
        restore(rewritten(archive, lambda members: [*members[:-1], (members[-1][0], data)]), again)
    assert is_untouched(again)


def test_an_archive_of_a_newer_lab_is_refused(archive, again):
    for change, text in ((lambda manifest: manifest.update(format=2), "expected format 1 at most, got 2"),
                         (lambda manifest: manifest["layout"].append("m9999_later"), "its layout has m9999_later")):
        with pytest.raises(StoreError, match=rf"newer JouleLab.*{text}"):
            restore(with_manifest(archive, change), again)
        assert is_untouched(again)


def test_a_database_of_a_newer_layout_is_refused_whatever_the_manifest_says(filled, tmp_path, again):
    with closing(sqlite3.connect(filled.home / "lab.db")) as database:
        database.execute("INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('lab', 'm9999', '')")
        database.commit()
    backup(filled.home, tmp_path / "lab.tar.gz")
    honest = with_manifest(tmp_path / "lab.tar.gz", lambda manifest: manifest["layout"].remove("m9999"))
    with pytest.raises(StoreError, match="newer JouleLab"):
        restore(honest, again)
    assert is_untouched(again)


def test_a_database_of_an_older_layout_is_brought_up_to_date(tmp_path, again):
    from lab.store.database import open_database
    from lab.store.migrations import STEPS

    first = dict(list(STEPS.items())[:1])
    open_database(tmp_path / "old", steps=first).close()
    backup(tmp_path / "old", tmp_path / "old.tar.gz")
    restore(tmp_path / "old.tar.gz", again)
    with Store.open(again, read_only=True) as store:
        assert store.campaigns() == ()


DYING = """
import os, pathlib, signal, sys
from lab.store.restore import restore

left = int(sys.argv[3])

def maybe_die(*_):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)

rename = pathlib.Path.rename

def dying_rename(self, target):
    maybe_die()
    return rename(self, target)

pathlib.Path.rename = dying_rename
restore(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), maybe_die)
"""


@pytest.mark.parametrize("steps", [0, 1, 3, 5, 6, 7, 8, 9, 10, 11])
def test_killed_at_any_moment_it_leaves_no_database_and_the_next_restore_succeeds(archive, again, steps):
    """Six members unpacked, then moving in announced, then five renames with the database last."""
    killed = subprocess.run([sys.executable, "-c", DYING, str(archive), str(again), str(steps)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not (again / "lab.db").exists()
    restore(archive, again)
    assert is_whole(again)


def test_twelve_steps_are_all_there_are(archive, again):
    subprocess.run([sys.executable, "-c", DYING, str(archive), str(again), "12"], check=True)
    assert is_whole(again)


@pytest.mark.parametrize("name", ["artifacts", "home-id", "lab.db"])
def test_what_comes_into_being_meanwhile_stays_and_the_restore_takes_itself_back(archive, again, name):
    def meddle(text, _fraction):
        if text == "moving in":
            (again / name).mkdir()

    with pytest.raises(StoreError, match=f"{name} came into being"):
        restore(archive, again, meddle)
    assert [path.relative_to(again).as_posix() for path in again.rglob("*")] == [name]


def test_an_interrupt_leaves_nothing(archive, again):
    def stop(_text, _fraction):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        restore(archive, again, stop)
    assert is_untouched(again)


def test_two_restores_do_not_meet(archive, again):
    (again / SCRATCH_NAME).mkdir(parents=True)
    descriptor = os.open(again / SCRATCH_NAME, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with pytest.raises(StoreError, match="another restore"):
            restore(archive, again)
    finally:
        os.close(descriptor)
    restore(archive, again)
    assert is_whole(again)


def test_a_link_in_place_of_the_scratch_folder_is_not_followed(archive, again, tmp_path):
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "precious").write_text("x")
    again.mkdir()
    (again / SCRATCH_NAME).symlink_to(tmp_path / "theirs")
    with pytest.raises(StoreError, match="cannot restore"):
        restore(archive, again)
    assert (tmp_path / "theirs" / "precious").exists()


def test_a_home_that_is_a_file_is_a_store_error(archive, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(StoreError, match="cannot restore"):
        restore(archive, tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_restored_lab_can_be_backed_up_and_restored_again(archive, again, tmp_path):
    restore(archive, again)
    backup(again, tmp_path / "second.tar.gz")
    restore(tmp_path / "second.tar.gz", tmp_path / "third")
    assert is_whole(tmp_path / "third")
