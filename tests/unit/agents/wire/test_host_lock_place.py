"""One folder for every agent and controller on a machine, whatever TMPDIR says."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from agents.wire.host_lock_place import HOST_LOCK_FOLDER_VARIABLE, host_lock_folder

NOBODY = 65534


def test_the_first_folder_that_is_there_counts(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    two.mkdir()
    assert host_lock_folder({}, [one, two]) == two
    one.mkdir()
    assert host_lock_folder({}, [one, two]) == one


def test_a_file_in_its_place_does_not_count(tmp_path):
    (tmp_path / "one").touch()
    assert host_lock_folder({}, [tmp_path / "one", tmp_path]) == tmp_path


def test_a_folder_that_cannot_be_written_does_not_count():
    """Asked as somebody who is not root: /usr is there, but only root may write it."""
    child = os.fork()
    if child == 0:
        if os.geteuid() == 0:
            os.setuid(NOBODY)
        os._exit(0 if host_lock_folder({}, [Path("/usr"), Path("/tmp")]) == Path("/tmp") else 1)
    _, status = os.waitpid(child, 0)
    assert os.WIFEXITED(status)
    assert os.WEXITSTATUS(status) == 0


def test_where_neither_is_there_the_temporary_folder_must_do(tmp_path):
    assert host_lock_folder({}, [tmp_path / "absent"]) == Path(tempfile.gettempdir())


def test_a_named_folder_wins(tmp_path):
    assert host_lock_folder({HOST_LOCK_FOLDER_VARIABLE: str(tmp_path)}) == tmp_path
    assert host_lock_folder({HOST_LOCK_FOLDER_VARIABLE: ""}, [tmp_path]) == tmp_path


def test_tmpdir_changes_nothing_where_a_shared_folder_is_there(tmp_path):
    code = "from agents.wire.host_lock_place import host_lock_folder; print(host_lock_folder())"
    environment = {name: value for name, value in os.environ.items() if name != HOST_LOCK_FOLDER_VARIABLE}
    found = {subprocess.run([sys.executable, "-c", code], env={**environment, "TMPDIR": folder}, check=True,
                            capture_output=True, text=True, timeout=60).stdout for folder in ("/tmp", str(tmp_path))}
    assert len(found) == 1
