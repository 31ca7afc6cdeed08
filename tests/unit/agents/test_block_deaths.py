"""Whatever dies or is cancelled, a block ends in order, says what happened, and leaves the device as it was."""

import fcntl
import io
import os
import signal
from pathlib import Path

import numpy as np

from agents.host_lock import open_host_lock
from tests.support.agent_process import block_plan, window_plan
from tests.support.block_watching import (
    GOVERNOR,
    WAIT_S,
    block_pid,
    flags,
    is_running,
    leased_on,
    until,
    worker_pid,
)

DATA = Path(__file__).parents[2] / "data"
_S = 1_000_000_000


def test_a_killed_worker_is_one_void_window_and_the_block_goes_on(leased):
    plan = block_plan(window_plan(leased.artifact, length_ns=60 * _S), window_plan(leased.artifact),
                      window_deadline_ns=120 * _S)
    leased.start(plan)
    os.kill(worker_pid(leased, plan), signal.SIGKILL)
    assert leased.wait(plan)["state"] == "done"
    found = leased.collect(plan)
    assert found[1][0]["error"] == {"code": "worker_died", "message": "the worker was killed by signal 9"}
    assert flags(found[1][0])["worker_died"]["severity"] == "void"
    assert found[1][0]["inferences"] == len(found[1][1]["latency_ns"]) == 0
    assert found[2][0]["error"] is None
    assert not (leased.home / "blocks/block-1/worker.pid").exists()


def test_a_worker_that_raises_is_quoted(leased):
    model = leased.put((DATA / "tiny_two_inputs.onnx").read_bytes())
    buffer = io.BytesIO()
    np.savez(buffer, ids=np.full((1, 4), 99, dtype=np.int64), mask=np.ones((1, 4, 1), dtype=np.float32))
    plan = block_plan(window_plan(model, runtime="onnx_runtime", inputs_sha256=leased.put(buffer.getvalue())))
    leased.start(plan)
    leased.wait(plan)
    error = leased.collect(plan)[1][0]["error"]
    assert error["code"] == "worker_died"
    assert "ended with status 1" in error["message"]
    assert "indices element out of data bounds" in error["message"]


def test_a_worker_past_its_deadline_is_killed_with_its_group(leased):
    model = leased.put((DATA / "tiny.onnx").read_bytes())
    sample = leased.put(b"to be replaced")
    fifo = leased.home / "blobs" / sample
    fifo.unlink()
    os.mkfifo(fifo)  # reading the sample waits for ever
    plan = block_plan(window_plan(model, runtime="onnx_runtime", inputs_sha256=sample), window_plan(leased.artifact),
                      window_deadline_ns=_S)
    leased.start(plan)
    worker = worker_pid(leased, plan)
    assert leased.wait(plan)["state"] == "done"
    assert not is_running(worker)
    header = leased.collect(plan)[1][0]
    assert header["error"]["code"] == "deadline"
    assert "1.0 s" in header["error"]["message"]
    assert flags(header)["worker_died"]["severity"] == "void"


def test_a_killed_supervisor_loses_nothing(leased, start_agent):
    plan = block_plan(window_plan(leased.artifact, length_ns=_S // 2), window_plan(leased.artifact, cell_id="second"))
    leased.start(plan)
    worker_pid(leased, plan)
    leased.process.kill()
    leased.process.wait()
    second = start_agent()
    assert second.call("block.status", block_id=plan.block_id)["state"] == "running"
    assert second.wait(plan) == {"state": "done", "position": 3, "windows_done": 2, "error": None, "waiting": False}
    found = second.collect(plan)
    assert [header["error"] for header, _ in found.values()] == [None] * 4
    entries = second.call("spool.list", block_id=plan.block_id)["entries"]
    assert second.call("spool.ack", sha256s=[e["sha256"] for e in entries], fence=leased.fence) == {"removed": 4}


def test_a_killed_block_has_failed_its_worker_is_dead_and_the_state_is_back(start_agent, board):
    agent = leased_on(start_agent, board)
    plan = block_plan(window_plan(agent.artifact, length_ns=60 * _S), window_deadline_ns=120 * _S,
                      state=(("governor", "performance"),))
    agent.start(plan)
    worker = worker_pid(agent, plan)
    assert (board / GOVERNOR).read_text() == "performance"
    os.kill(block_pid(agent, plan), signal.SIGKILL)
    status = agent.wait(plan)
    assert (status["state"], status["position"], status["windows_done"]) == ("failed", 1, 0)
    assert "block process ended by signal 9" in status["error"]
    until(lambda: not is_running(worker), "end of the worker")
    assert not (agent.home / "blocks/block-1/worker.pid").exists()
    assert (board / GOVERNOR).read_text() == "powersave"
    assert list(agent.collect(plan)) == [0]
    assert agent.call("block.status", block_id=plan.block_id) == status


def test_a_block_killed_while_no_supervisor_looks_has_failed_unexpectedly(leased, start_agent):
    plan = block_plan(window_plan(leased.artifact, length_ns=60 * _S), window_deadline_ns=120 * _S)
    leased.start(plan)
    pid = block_pid(leased, plan)
    leased.close()
    second = start_agent()
    number = second.ask("block.wait", block_id=plan.block_id, timeout_s=WAIT_S)
    os.kill(pid, signal.SIGKILL)
    status = second.answer(number)
    assert status["state"] == "failed"
    assert "ended unexpectedly" in status["error"]


def test_a_failed_block_can_be_tried_again_as_a_new_attempt(leased):
    plan = block_plan(window_plan(leased.artifact, length_ns=60 * _S), window_deadline_ns=120 * _S)
    leased.start(plan)
    os.kill(block_pid(leased, plan), signal.SIGKILL)
    leased.wait(plan)
    again = block_plan(window_plan(leased.artifact), attempt=2)
    leased.start(again)
    assert leased.wait(again)["state"] == "done"
    attempts = {entry["attempt"] for entry in leased.call("spool.list", block_id="block-1")["entries"]}
    assert 2 in attempts


def test_cancelling_ends_the_block_in_order(start_agent, board):
    agent = leased_on(start_agent, board)
    plan = block_plan(window_plan(agent.artifact), window_plan(agent.artifact, length_ns=60 * _S, cell_id="long"),
                      window_deadline_ns=120 * _S, state=(("governor", "performance"),))
    agent.start(plan)
    first = worker_pid(agent, plan)
    second = worker_pid(agent, plan, other_than=first)
    status = agent.call("block.cancel", block_id=plan.block_id, fence=agent.fence)
    assert (status["state"], status["windows_done"]) == ("cancelled", 1)
    assert not is_running(second)
    assert (board / GOVERNOR).read_text() == "powersave"
    assert sorted(agent.collect(plan)) == [0, 1]
    assert agent.call("block.cancel", block_id=plan.block_id, fence=agent.fence) == status
    assert agent.wait(plan) == status


def test_a_block_that_waits_for_the_host_can_be_cancelled(leased, tmp_path):
    descriptor = open_host_lock(tmp_path)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        plan = block_plan(window_plan(leased.artifact))
        leased.start(plan)
        block_pid(leased, plan)
        waiting = leased.call("block.wait", block_id=plan.block_id, timeout_s=0.3)
        assert waiting == {"state": "running", "position": 0, "windows_done": 0, "error": None, "waiting": True}
        status = leased.call("block.cancel", block_id=plan.block_id, fence=leased.fence)
    finally:
        os.close(descriptor)
    assert (status["state"], status["position"], status["windows_done"]) == ("cancelled", 0, 0)
    assert status["waiting"] is False


def test_a_block_that_has_got_the_host_waits_no_longer(leased, tmp_path):
    descriptor = open_host_lock(tmp_path)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    plan = block_plan(window_plan(leased.artifact, length_ns=_S))
    leased.start(plan)
    assert leased.call("block.status", block_id=plan.block_id)["waiting"] is True
    os.close(descriptor)
    worker_pid(leased, plan)
    status = leased.call("block.status", block_id=plan.block_id)
    assert (status["state"], status["waiting"]) == ("running", False)
    assert leased.wait(plan)["state"] == "done"


def test_after_a_cancelled_attempt_the_next_one_starts_at_once_and_is_followed_to_its_end(leased):
    for attempt in range(1, 5):
        plan = block_plan(window_plan(leased.artifact, length_ns=60 * _S), attempt=attempt,
                          window_deadline_ns=120 * _S)
        leased.start(plan)
        worker_pid(leased, plan)
        os.kill(block_pid(leased, plan), signal.SIGTERM)
        until(lambda: leased.call("block.status", block_id="block-1")["state"] == "cancelled", "end of the attempt")
    last = block_plan(window_plan(leased.artifact), attempt=5)
    leased.start(last)
    assert leased.wait(last)["state"] == "done"
    assert {entry["attempt"] for entry in leased.call("spool.list")["entries"]} == {1, 2, 3, 4, 5}
    assert leased.call("block.status", block_id="block-1")["state"] == "done"


def test_a_block_whose_lease_was_lost_while_it_waited_measures_nothing(leased, tmp_path):
    descriptor = open_host_lock(tmp_path)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        plan = block_plan(window_plan(leased.artifact))
        leased.start(plan)
        leased.call("lease.release", fence=leased.fence)
        leased.acquire("somebody else")
    finally:
        os.close(descriptor)
    status = leased.wait(plan)
    assert status["state"] == "failed"
    assert "no longer valid" in status["error"]
    assert leased.collect(plan) == {}


def test_a_spool_that_cannot_be_written_fails_the_block_and_says_why(leased):
    (leased.home / "spool" / "block-1").touch()  # a file where the block's folder should be
    plan = block_plan(window_plan(leased.artifact))
    leased.start(plan)
    status = leased.wait(plan)
    assert status["state"] == "failed"
    assert "block-1" in status["error"]
