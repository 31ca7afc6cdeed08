"""The controller's disk fills up in the middle of a campaign: it waits, says why, and loses and doubles nothing."""

from __future__ import annotations

import time

import pytest

from lab.wiring import queue
from tests.conftest import need
from tests.support.campaigns import real_services, write_pair
from tests.support.outages import WHOLE_S
from tests.support.queue_kills import check_whole, is_over, register, submit
from tests.support.queue_processes import Bench
from tests.support.small_disk import AVAILABLE, SmallDisk
from tests.support.two_sites import wait_until

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]
DISK_BYTES = 24 << 20
FULL_S = 4.0
FREED_S = 100.0
"""Less than the pause after which a call that was given up is tried again: nothing may be given up."""


@pytest.mark.parametrize("is_queue_on_it", [False, True], ids=["queue elsewhere", "queue too"])
def test_a_full_disk_at_the_controller_is_waited_for(tmp_path, monkeypatch, is_queue_on_it):
    """Filled once a block is stored, emptied while blocks wait to be stored; nobody starts anything again."""
    need("tmpfs", AVAILABLE)
    url = f"sqlite:///{(tmp_path / 'home' if is_queue_on_it else tmp_path) / 'engine.db'}"
    monkeypatch.setenv("LAB_ENGINE_URL", url)
    with SmallDisk(tmp_path / "home", DISK_BYTES) as disk, Bench(tmp_path, engine_url=url, apart=True) as bench, \
            real_services(bench.home) as services:
        register(services)
        campaign_id = submit(services, write_pair(tmp_path / "pair"), "disk-0")
        wait_until(lambda: files_in(bench.home / "traces"), WHOLE_S, bench.said)
        disk.fill()
        wait_until(lambda: files_in(tmp_path / "shared/recordings"), WHOLE_S, bench.said)
        keep_full(disk, FULL_S)
        standing = queue.look(services, campaign_id)
        assert {each.state for each in standing.devices} == {"waiting"}
        assert all(f"the disk of {bench.home} is full" in each.text for each in standing.devices)
        stored = len(files_in(bench.home / "traces"))
        disk.free()
        wait_until(lambda: is_over(services.store, campaign_id), FREED_S, bench.said)
        check_whole(bench, campaign_id)
        assert len(files_in(bench.home / "traces")) > stored


def files_in(folder):
    """Every file under it, half-written ones left out."""
    return [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".tmp-")]


def keep_full(disk, seconds):
    """Whatever is freed meanwhile, as by a half-written file, is taken too."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        disk.fill()
        time.sleep(0.1)
