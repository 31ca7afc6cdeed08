"""Which worker has a window open, and how much processor time it used: real processes, real /proc."""

import os

import pytest

from lab.virtual.workers import WorkerTimes, any_block_running, is_running, process_cpu_ns
from tests.support.virtual_agent import Block, Worker, stat_cpu_ns

TICK_NS = 10_000_000
"""What /proc/PID/stat rounds down to, for user and system time each."""


@pytest.fixture
def worker():
    worker = Worker()
    yield worker
    worker.end()


@pytest.fixture
def block(tmp_path):
    block = Block(tmp_path)
    yield block
    block.end()


def counted(tmp_path, times):
    """WorkerTimes over a clock that the test plays: one list of readings per pid."""
    return WorkerTimes(tmp_path, lambda pid: times[pid].pop(0) if times[pid] else None)


def test_processor_time_is_the_kernel_s_threads_and_all(worker):
    for threads in (1, 3):
        worker.burn(0.05, threads)
        assert 0 <= process_cpu_ns(worker.pid) - stat_cpu_ns(worker.pid) <= 2 * TICK_NS


def test_time_of_ended_threads_still_counts(worker):
    before_ns = process_cpu_ns(worker.pid)
    worker.burn(0.05, 2)
    assert process_cpu_ns(worker.pid) - before_ns >= 0.1e9


def test_no_such_process_has_no_time():
    process = Worker()
    process.end()
    assert process_cpu_ns(process.pid) is None
    assert process_cpu_ns(2**40) is None


def test_nothing_is_spent_without_a_window(tmp_path, block):
    times = WorkerTimes(tmp_path)
    assert times.spent_ns() == 0
    assert WorkerTimes(tmp_path / "missing").spent_ns() == 0


def test_what_a_worker_uses_is_spent_once(tmp_path, block, worker):
    times = WorkerTimes(tmp_path)
    block.open_window(worker.pid)
    times.spent_ns()
    before_ns = process_cpu_ns(worker.pid)
    worker.burn(0.05)
    spent_ns = times.spent_ns()
    after_ns = process_cpu_ns(worker.pid)
    assert 0.05e9 <= spent_ns <= after_ns - before_ns + TICK_NS
    assert times.spent_ns() <= process_cpu_ns(worker.pid) - before_ns - spent_ns + TICK_NS


def test_time_before_the_window_is_not_counted(tmp_path, block):
    times = counted(tmp_path, {7: [5_000, 5_100, 5_300]})
    block.open_window(7)
    assert [times.spent_ns() for _ in range(3)] == [0, 100, 200]


def test_a_closed_window_spends_nothing(tmp_path, block):
    times = counted(tmp_path, {7: [100, 200, 900]})
    block.open_window(7)
    assert [times.spent_ns(), times.spent_ns()] == [0, 100]
    block.close_window()
    assert times.spent_ns() == 0


def test_a_worker_that_is_gone_spends_nothing(tmp_path, block):
    times = counted(tmp_path, {7: [100, 200]})
    block.open_window(7)
    assert [times.spent_ns() for _ in range(4)] == [0, 100, 0, 0]


def test_the_next_worker_starts_from_its_own_zero(tmp_path, block):
    times = counted(tmp_path, {7: [100, 200], 8: [5_000, 5_050]})
    block.open_window(7)
    spent = [times.spent_ns(), times.spent_ns()]
    block.open_window(8)
    spent += [times.spent_ns(), times.spent_ns()]
    assert spent == [0, 100, 0, 50]


def test_time_that_goes_back_is_not_negative_power(tmp_path, block):
    times = counted(tmp_path, {7: [500, 300, 400]})
    block.open_window(7)
    assert [times.spent_ns() for _ in range(3)] == [0, 0, 100]


@pytest.mark.parametrize("text", ["", "x", "-5", "7 8", "1" * 11, "\u0661"])
def test_text_that_is_no_pid_is_no_window(tmp_path, block, text):
    (block.folder / "worker.pid").write_text(text)
    assert counted(tmp_path, {}).spent_ns() == 0


def test_what_a_killed_block_left_behind_is_not_measured(tmp_path, block):
    """Its worker's number may belong to any process by now."""
    block.end()
    block.open_window(os.getpid())
    times = WorkerTimes(tmp_path)
    assert [times.spent_ns(), times.spent_ns()] == [0, 0]


def test_a_block_is_running_until_it_says_otherwise(tmp_path, block):
    assert is_running(block.folder)
    assert any_block_running(tmp_path)
    for state in ("done", "failed", "cancelled"):
        block.set_state(state)
        assert not is_running(block.folder)
    (block.folder / "status.json").unlink()
    assert is_running(block.folder), "it has not written its first status yet"


def test_a_block_whose_process_is_gone_is_not_running(tmp_path, block):
    block.end()
    assert not is_running(block.folder)
    assert not any_block_running(tmp_path)


def test_another_process_under_the_same_number_is_not_the_block(tmp_path, block):
    (block.folder / "block.pid").write_text(str(os.getpid()))
    assert not is_running(block.folder)


@pytest.mark.parametrize("status", ["", "[]", "{", "null", '{"state": 5}'])
def test_a_status_that_cannot_be_read_decides_nothing(block, status):
    (block.folder / "status.json").write_text(status)
    assert is_running(block.folder)


def test_no_home_no_block(tmp_path):
    assert not any_block_running(tmp_path / "missing")
    (tmp_path / "blocks").mkdir()
    (tmp_path / "blocks/file").touch()
    assert not any_block_running(tmp_path)
