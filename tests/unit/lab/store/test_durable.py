"""Files are whole or absent, and private."""

import os
import signal
import stat
import subprocess
import sys

import pytest

from lab.store.durable import TEMPORARY_PREFIX, make_folder, write_durably


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
