"""The host lock keeps two loads of one machine apart, across processes, and dies with its holder."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time

import pytest

from agents.wire.host_lock_place import host_lock_folder
from lab.campaigns.host_lock import hold_host, host_lock_path
from lab.errors import LabError

HOLDER = """
import sys, time
from pathlib import Path
from lab.campaigns.host_lock import hold_host
with hold_host(path=Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock."""
    path = tmp_path / "host.lock"
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield path, process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_second_holder_waits_and_is_told_why(holder):
    """The waiting callback is called once; the error names the file."""
    path, _ = holder
    told = []
    with pytest.raises(LabError, match=r"host\.lock"), hold_host(path=path, wait_s=0.3, waiting=lambda: told.append(1)):
        pytest.fail("two processes held one machine")
    assert told == [1]


def test_the_lock_dies_with_its_holder(holder):
    """kill -9 leaves nothing behind."""
    path, process = holder
    process.kill()
    process.wait()
    entered = False
    with hold_host(path=path, wait_s=5):
        entered = True
    assert entered


def test_two_loads_never_overlap(tmp_path):
    """Recorded times of many holders in several processes are disjoint."""
    log = tmp_path / "log"
    code = ("import sys,time\nfrom pathlib import Path\nfrom lab.campaigns.host_lock import hold_host\n"
            "for _ in range(5):\n"
            "    with hold_host(path=Path(sys.argv[1])):\n"
            "        a=time.monotonic_ns(); time.sleep(0.01); b=time.monotonic_ns()\n"
            "        open(sys.argv[2],'a').write(f'{a} {b}\\n')\n")
    processes = [subprocess.Popen([sys.executable, "-W", "ignore", "-c", code, str(tmp_path / "l"), str(log)])
                 for _ in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]
    spans = sorted(tuple(map(int, line.split())) for line in log.read_text().splitlines())
    assert len(spans) == 15
    assert all(first[1] <= second[0] for first, second in itertools.pairwise(spans))


def test_a_link_in_the_locks_place_is_refused(tmp_path):
    """Somebody else's file must not be locked or created through a link."""
    link = tmp_path / "host.lock"
    link.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(LabError, match="remove what is in its place"), hold_host(path=link):
        pytest.fail("followed a link")
    assert not (tmp_path / "elsewhere").exists()


def test_a_file_that_only_its_owner_may_write_can_still_be_locked(tmp_path):
    """flock needs no write permission."""
    path = tmp_path / "host.lock"
    path.touch(mode=0o444)
    before = time.monotonic_ns()
    with hold_host(path=path):
        assert time.monotonic_ns() >= before
    assert os.access(path, os.R_OK)


def test_the_file_is_made_for_every_user(tmp_path):
    """A strict umask of whoever is first must not shut the others out."""
    before = os.umask(0o077)
    try:
        with hold_host(path=tmp_path / "host.lock"):
            mode = (tmp_path / "host.lock").stat().st_mode
    finally:
        os.umask(before)
    assert mode & 0o777 == 0o666


def test_agents_and_controller_agree_on_the_place():
    """Same folder, same name: otherwise the two would not see each other."""
    assert host_lock_path() == host_lock_folder() / "joulelab-host.lock"
