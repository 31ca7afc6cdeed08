"""The follower: its arithmetic under a played clock, its life as a real process beside real workers."""

import itertools
import json
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from agents.probes.hwmon_power import HwmonPowerProbe
from agents.probes.thermal import ThermalProbe
from lab.virtual.follower import READY, Follower, Lifeline
from lab.virtual.physics import Physics
from lab.virtual.tree import VirtualTree
from lab.virtual.truth import TruthLog, last_truth, read_truth
from tests.support.virtual_agent import PHYSICS, Block, Worker, stat_cpu_ns, wait_until

BOARD = Physics.from_pairs(PHYSICS.items())
CHECKOUT = Path(__file__).resolve().parents[4]
MS = 1_000_000
STAT_TOLERANCE_NS = 20 * MS
"""/proc/PID/stat rounds user and system time down to 10 ms each, so a difference of two is this good."""


class Played:
    """A clock and workers that do what the test says."""

    def __init__(self):
        self.now_ns = 1_000_000_000
        self.cpu_ns = 0

    def clock(self):
        return self.now_ns

    def spent_ns(self):
        spent_ns, self.cpu_ns = self.cpu_ns, 0
        return spent_ns

    def pass_time(self, duration_ns, cpu_ns=0):
        self.now_ns += duration_ns
        self.cpu_ns += cpu_ns


@pytest.fixture
def played():
    return Played()


@contextmanager
def follower_of(played, tmp_path):
    tree = VirtualTree(tmp_path / "board", "B", BOARD)
    truth = TruthLog(tmp_path / "truth.csv")
    try:
        yield Follower(BOARD, tree, truth, played, last=last_truth(tmp_path / "truth.csv"), clock=played.clock)
    finally:
        tree.close()
        truth.close()


def shown(root, probe_class=HwmonPowerProbe):
    probe = probe_class()
    probe.discover(root)
    (reading,) = probe.read()
    probe.close()
    return reading.raw


def test_before_the_first_tick_the_board_is_idle(played, tmp_path):
    with follower_of(played, tmp_path):
        assert shown(tmp_path / "board") == 2_000_000
        assert shown(tmp_path / "board", ThermalProbe) == 41_000
    assert last_truth(tmp_path / "truth.csv").energy_j == 0.0


@pytest.mark.parametrize(("cpu_ns", "expected_uw"), [(0, 2_000_000), (10 * MS, 2_750_000), (20 * MS, 3_500_000),
                                                     (40 * MS, 5_000_000)])
def test_a_tick_shows_the_mean_power_of_its_period(played, tmp_path, cpu_ns, expected_uw):
    with follower_of(played, tmp_path) as follower:
        played.pass_time(20 * MS, cpu_ns)
        follower.tick()
        assert shown(tmp_path / "board") == expected_uw


def test_a_late_tick_loses_no_energy(played, tmp_path):
    with follower_of(played, tmp_path) as follower:
        for duration_ns, cpu_ns in ((20 * MS, 20 * MS), (500 * MS, 100 * MS), (1, 0), (20 * MS, 0)):
            played.pass_time(duration_ns, cpu_ns)
            follower.tick()
    last = last_truth(tmp_path / "truth.csv")
    assert last.energy_j == pytest.approx(2.0 * (540 * MS + 1) * 1e-9 + 1.5 * 0.12, rel=1e-12)
    assert last.t_ns == played.now_ns


def test_every_tick_is_a_row(played, tmp_path):
    with follower_of(played, tmp_path) as follower:
        for _ in range(5):
            played.pass_time(20 * MS)
            follower.tick()
    rows = read_truth(tmp_path / "truth.csv")
    assert [row.t_ns - rows[0].t_ns for row in rows] == [0, 20 * MS, 40 * MS, 60 * MS, 80 * MS, 100 * MS]


def test_the_next_follower_goes_on_where_the_last_one_ended(played, tmp_path):
    with follower_of(played, tmp_path) as follower:
        played.pass_time(10_000 * MS, 10_000 * MS)
        follower.tick()
    before = last_truth(tmp_path / "truth.csv")
    played.pass_time(1_000 * MS)
    with follower_of(played, tmp_path):
        after = last_truth(tmp_path / "truth.csv")
    assert after.energy_j == pytest.approx(before.energy_j + 2.0, rel=1e-12)
    assert 41.0 < after.state.temperature_c < before.state.temperature_c, "it cooled in between, but not at once"


def test_after_a_boot_of_the_host_the_board_starts_afresh(played, tmp_path):
    with follower_of(played, tmp_path) as follower:
        played.pass_time(10_000 * MS, 10_000 * MS)
        follower.tick()
    played.now_ns = 5 * MS
    with follower_of(played, tmp_path):
        assert last_truth(tmp_path / "truth.csv").energy_j == 0.0


class Running:
    """A follower as a process."""

    def __init__(self, home):
        self.home = home
        self.board = home / "board"
        self.truth = home / "truth.csv"
        arguments = [sys.executable, "-m", "lab.virtual.follower", "--root", self.board, "--agent-home",
                     home / "agent", "--truth", self.truth, "--board", "B", "--physics", json.dumps(PHYSICS)]
        self.process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=CHECKOUT)
        assert self.process.stdout.readline() == READY

    def rows(self):
        return len(read_truth(self.truth))

    def settle(self):
        """Wait until what happened so far is in the truth, and return its last row."""
        rows = self.rows()
        wait_until(lambda: self.rows() >= rows + 2)
        return last_truth(self.truth)

    def release(self):
        if not self.process.stdin.closed:
            self.process.stdin.close()

    def ended(self):
        return self.process.wait(20)

    def kill(self):
        self.process.kill()
        self.process.wait(20)
        self.release()
        self.process.stdout.close()


@pytest.fixture
def home(tmp_path):
    (tmp_path / "agent/blocks").mkdir(parents=True)
    return tmp_path


@pytest.fixture
def running(home):
    running = Running(home)
    yield running
    running.kill()


@pytest.fixture
def block(home):
    block = Block(home / "agent")
    yield block
    block.end()


@pytest.fixture
def worker():
    worker = Worker()
    yield worker
    worker.end()


def test_the_tree_can_be_read_once_it_is_ready(running):
    assert shown(running.board) == 2_000_000
    assert running.settle().state.cpu_ns == 0


def test_power_follows_the_worker_s_processor_time(running, block, worker):
    """Energy is compared with processor time as /proc tells it, never with how long anything took."""
    block.open_window(worker.pid)
    start, start_cpu_ns = running.settle(), stat_cpu_ns(worker.pid)
    worker.burn(0.4)
    end, end_cpu_ns = running.settle(), stat_cpu_ns(worker.pid)
    used_ns = end.state.cpu_ns - start.state.cpu_ns
    assert abs(used_ns - (end_cpu_ns - start_cpu_ns)) <= STAT_TOLERANCE_NS
    elapsed_s = (end.t_ns - start.t_ns) * 1e-9
    energy_j = end.energy_j - start.energy_j
    assert energy_j == pytest.approx(2.0 * elapsed_s + 1.5 * used_ns * 1e-9, rel=1e-9)
    assert 2.0 < energy_j / elapsed_s < 3.5
    assert end.state.temperature_c > start.state.temperature_c


def test_the_sensor_shows_the_same_energy_as_the_truth(running, block, worker):
    """Sum of samples × period against the truth, as the agent's sampler would see it."""
    block.open_window(worker.pid)
    running.settle()
    burning = threading.Thread(target=worker.burn, args=(0.4,))
    burning.start()
    samples_uw = []
    while burning.is_alive():
        samples_uw.append(shown(running.board))
        time.sleep(0.01)
    burning.join()
    mean_w = sum(samples_uw) / len(samples_uw) * 1e-6
    assert 2.0 < mean_w < 3.5 + 0.5
    assert max(samples_uw) > 2_000_000


def test_threads_of_the_worker_count(running, block, worker):
    block.open_window(worker.pid)
    start = running.settle()
    worker.burn(0.15, threads=2)
    end = running.settle()
    assert end.state.cpu_ns - start.state.cpu_ns >= 0.3e9 - STAT_TOLERANCE_NS


def test_a_worker_without_a_window_costs_nothing(running, block, worker):
    start = running.settle()
    worker.burn(0.1)
    assert running.settle().state.cpu_ns == start.state.cpu_ns


def test_it_ends_when_nobody_holds_it(running):
    running.release()
    assert running.ended() == 0


def test_a_detached_block_keeps_its_world_alive(running, block, worker):
    block.open_window(worker.pid)
    running.release()
    start = running.settle()
    worker.burn(0.2)
    end = running.settle()
    assert end.state.cpu_ns - start.state.cpu_ns >= 0.2e9 - STAT_TOLERANCE_NS
    assert running.process.poll() is None
    block.set_state("done")
    assert running.ended() == 0


def test_a_killed_block_does_not_keep_it(running, block):
    running.release()
    running.settle()
    assert running.process.poll() is None
    block.end()
    assert running.ended() == 0


def test_a_second_follower_waits_for_the_first_and_then_goes_on(running, block, home):
    running.release()
    second = Running(home)
    try:
        running.settle()
        block.set_state("done")
        assert running.ended() == 0
        before = last_truth(running.truth)
        after = second.settle()
        assert after.energy_j > before.energy_j
        rows = read_truth(running.truth)
        assert all(earlier.t_ns < later.t_ns for earlier, later in itertools.pairwise(rows))
        second.release()
        assert second.ended() == 0
    finally:
        second.kill()


def test_a_waiting_follower_ends_when_nobody_holds_it(running, home):
    second = Running(home)
    second.release()
    assert second.ended() == 0
    second.kill()
    assert running.process.poll() is None


def test_a_lifeline_is_held_until_its_other_end_is_closed():
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        lifeline = Lifeline(other.stdout.fileno())
        other.stdin.write(b"anything")
        other.stdin.flush()
        lifeline.wait(0.2)
        assert lifeline.held
        other.stdin.close()
        wait_until(lambda: lifeline.wait(0.01) or not lifeline.held)
        lifeline.wait(0.001)
        assert not lifeline.held
