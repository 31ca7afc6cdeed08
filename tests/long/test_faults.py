"""Kills at random moments, many times over: whatever dies, every block ends up measured once and nothing is lost."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lab.wiring import queue
from tests.support.campaigns import real_services, small_campaign, write_pair

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]
KILLS = 50
FAULTS = 20

CONTROLLER = """
import sys
from pathlib import Path
from lab.wiring import queue
from tests.support.campaigns import real_services, small_campaign
with real_services(Path(sys.argv[1])) as services:
    queue.run_campaign(services, small_campaign(sys.argv[2]), "")
"""


def start_controller(home, workload):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen([sys.executable, "-c", CONTROLLER, str(home), workload], env=environment,
                            stderr=subprocess.DEVNULL)


def check_whole(home, workload):
    """Run it to its end, then look: three blocks, each once, every window there, nothing left lying about."""
    with real_services(home) as services:
        progress = queue.run_campaign(services, small_campaign(workload), "")
        assert progress.state == "done"
        for row in services.store.result_rows(campaign=progress.campaign_id):
            blocks = services.store.cell_blocks(row.result.cell_id)
            assert [block.number for block in blocks] == [1, 2, 3]
            assert all(len(block.idles) == 2 for block in blocks)
    assert [path for path in (home / "spool").rglob("*") if path.suffix in {".rec", ".json"}] == []


def killed_in_time(controller, delay_s):
    """Whether the controller was still at work when it was killed."""
    try:
        controller.wait(delay_s)
    except subprocess.TimeoutExpired:
        controller.kill()
        controller.wait()
        return True
    assert controller.returncode == 0
    return False


def test_fifty_kills_of_controllers_at_random_moments(tmp_path):
    """kill -9 at any moment of a campaign's few seconds, again and again on the same home, until fifty are dead."""
    chance = random.Random(20)
    workload = write_pair(tmp_path / "pair")
    kills = homes = 0
    while kills < KILLS:
        home = tmp_path / f"home-{homes}"
        homes += 1
        while killed_in_time(start_controller(home, workload), chance.uniform(0.3, 3.0)):
            kills += 1
        check_whole(home, workload)


def pid_in(file):
    text = file.read_text()
    return int(text) if text else 0


def is_ours(pid, home):
    """A pid file may outlive its process; only one that works in this test's folder is killed."""
    try:
        return str(home).encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


@pytest.mark.parametrize("seed", range(FAULTS))
def test_a_process_on_the_device_dies_at_a_random_moment(tmp_path, seed):
    """Supervisor, block or worker: whichever is hit, the campaign ends whole or says why a cell is not."""
    chance = random.Random(seed)
    workload = write_pair(tmp_path / "pair")
    home = tmp_path / "home"
    controller = start_controller(home, workload)
    deadline = time.monotonic() + chance.uniform(1.5, 6.0)
    while controller.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    victims = [pid for pid in map(pid_in, (home / "agents/local/blocks").glob("*/*.pid")) if is_ours(pid, home)]
    for pid in victims[: chance.randint(0, len(victims))]:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    assert controller.wait() == 0
    check_whole(home, workload)
