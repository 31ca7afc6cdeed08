"""Files are whole or absent, and private."""

import errno
import os
import signal
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing

import pytest

from lab.errors import DiskFull, StoreError
from lab.store.durable import TEMPORARY_PREFIX, disk_error, is_disk_full, make_folder, write_durably


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_what_is_written_is_there_and_private(tmp_path):
    path = tmp_path / "a" / "b" / "file"
    write_durably(path, lambda stream: stream.write(b"content"))
    assert path.read_bytes() == b"content"
    assert (mode(path), mode(path.parent)) == (0o600, 0o700)


def test_an_older_file_is_replaced_in_one_step(tmp_path):
    path = tmp_path / "file"
    write_durably(path, lambda stream: stream.write(b"old"))
    with path.open("rb") as reader:
        write_durably(path, lambda stream: stream.write(b"new"))
        assert reader.read() == b"old"
    assert path.read_bytes() == b"new"


def test_a_write_that_raises_leaves_the_older_file_and_nothing_else(tmp_path):
    path = tmp_path / "file"
    write_durably(path, lambda stream: stream.write(b"old"))

    def break_off(stream):
        stream.write(b"half of the new")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_durably(path, break_off)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_process_killed_while_writing_leaves_only_a_temporary_file(tmp_path):
    code = ("import os, pathlib, signal, sys\nfrom lab.store.durable import write_durably\n"
            "def die(stream):\n    stream.write(b'half'); stream.flush(); os.kill(os.getpid(), signal.SIGKILL)\n"
            "write_durably(pathlib.Path(sys.argv[1]), die)")
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path / "file")], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert [path.name.startswith(TEMPORARY_PREFIX) for path in tmp_path.iterdir()] == [True]


def test_a_folder_in_the_way_is_an_error_and_stays(tmp_path):
    (tmp_path / "file").mkdir()
    with pytest.raises(OSError, match="file"):
        write_durably(tmp_path / "file", lambda stream: stream.write(b"x"))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_folder_that_exists_keeps_its_mode(tmp_path):
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o755)
    make_folder(folder)
    assert mode(folder) == 0o755


def test_no_file_stays_open(tmp_path):
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 the folder changes while it is iterated
    for number in range(5):
        write_durably(tmp_path / str(number), lambda stream: stream.write(b"x"))
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def full_sqlite(folder):
    """What SQLite itself raises where no page can be added."""
    with closing(sqlite3.connect(folder / "small.db")) as database:
        database.execute("CREATE TABLE t (x)")
        database.execute("PRAGMA max_page_count = 4")
        with pytest.raises(sqlite3.OperationalError) as caught:
            database.execute("INSERT INTO t VALUES (zeroblob(100000))")
    return caught.value


def raised_from(error, cause):
    with pytest.raises(type(error)) as caught:
        raise error from cause
    return caught.value


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_and_a_full_quota_are_known(number):
    error = OSError(number, os.strerror(number))
    assert is_disk_full(error)
    assert is_disk_full(raised_from(StoreError("cannot write"), error))
    assert isinstance(disk_error("cannot write x", error), DiskFull)


def test_a_full_database_is_known(tmp_path):
    error = disk_error("cannot write to x", full_sqlite(tmp_path))
    assert isinstance(error, DiskFull)
    assert error.transient
    assert str(error).startswith("cannot write to x. The disk is full: free some space")


def test_what_is_no_full_disk_is_none(tmp_path):
    for error in (OSError(errno.EACCES, "no"), sqlite3.OperationalError("database is locked"), ValueError("full"),
                  raised_from(StoreError("x"), KeyError("y"))):
        assert not is_disk_full(error)
        assert type(disk_error("cannot write x", error)) is StoreError


def test_an_error_that_hides_what_it_came_during_is_not_looked_through():
    error = ValueError("another matter")
    error.__context__ = OSError(errno.ENOSPC, "full")
    assert is_disk_full(error)
    error.__suppress_context__ = True  # as `from None` does
    assert not is_disk_full(error)
