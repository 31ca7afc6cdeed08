"""One holder per machine; the lock file is for every user and is never a link."""

import errno
import fcntl
import os
import stat
import subprocess
import sys

import pytest

from agents.host_lock import host_lock, open_host_lock
from agents.wire import HOST_LOCK_NAME


def is_free(folder):
    descriptor = os.open(folder / HOST_LOCK_NAME, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def test_the_lock_is_held_inside_and_free_after(tmp_path):
    with host_lock(tmp_path):
        assert not is_free(tmp_path)
    assert is_free(tmp_path)


def test_an_error_inside_frees_the_lock(tmp_path):
    with pytest.raises(KeyError), host_lock(tmp_path):
        raise KeyError
    assert is_free(tmp_path)


def test_the_file_is_made_for_all_users_whatever_the_umask(tmp_path):
    old = os.umask(0o077)
    try:
        os.close(open_host_lock(tmp_path))
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / HOST_LOCK_NAME).stat().st_mode) == 0o666


def test_a_planted_link_is_refused(tmp_path):
    (tmp_path / HOST_LOCK_NAME).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match=os.strerror(errno.ELOOP)):
        open_host_lock(tmp_path)
    assert not (tmp_path / "elsewhere").exists()


def test_a_second_process_waits_until_the_first_lets_go(tmp_path):
    code = ("import sys; from pathlib import Path; from agents.host_lock import host_lock\n"
            "with host_lock(Path(sys.argv[1])): print('in', flush=True)")
    with host_lock(tmp_path):
        waiting = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
        with pytest.raises(subprocess.TimeoutExpired):
            waiting.wait(0.5)
    assert waiting.communicate(timeout=60)[0] == b"in\n"
