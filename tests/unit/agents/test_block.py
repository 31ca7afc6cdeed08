"""Whole blocks in the real agent: everything planned is measured, in order, and nothing else runs meanwhile."""

import io
import os
from array import array
from pathlib import Path

import numpy as np
import pytest

from agents.home import AgentHome
from agents.spool import Spool
from agents.wire import HOST_LOCK_NAME
from agents.wire.plan import LoadPlan
from agents.wire.recording import pack_recording
from tests.support.agent_process import block_plan, window_plan
from tests.support.block_watching import flags, host_is_free, leased_on, marks, refusal, worker_pid

DATA = Path(__file__).parents[2] / "data"
MARKS = ["worker_start", "load_start", "load_end", "first_end", "warmup_end", "window_start", "window_end"]
_S = 1_000_000_000


def test_a_block_is_idle_windows_in_order_idle_and_nothing_overlaps(leased):
    plan = block_plan(*(window_plan(leased.artifact, cell_id=f"cell-{n}") for n in range(3)))
    leased.start(plan)
    assert leased.wait(plan) == {"state": "done", "position": 4, "windows_done": 3, "error": None, "waiting": False}
    found = leased.collect(plan)
    assert sorted(found) == [0, 1, 2, 3, 4]
    assert [found[n][0]["kind"] for n in range(5)] == ["idle", "window", "window", "window", "idle"]
    assert [found[n][0]["cell_id"] for n in range(5)] == [None, "cell-0", "cell-1", "cell-2", None]
    end_ns = 0
    for position in range(5):
        header, arrays = found[position]
        times_ns = [mark["t_ns"] for mark in header["marks"]]
        assert times_ns == sorted(times_ns)
        assert times_ns[0] > end_ns
        end_ns = times_ns[-1]
        assert list(marks(header)) == (MARKS if header["kind"] == "window" else MARKS[-2:])
        assert header["inferences"] == len(arrays["latency_ns"])
        identity = (header["format"], header["block_id"], header["attempt"], header["position"])
        assert identity == (1, "block-1", 1, position)
        assert header["boot_id"] == leased.hello["boot_id"]
        assert header["error"] is None
        assert header["artifact_sha256"] == (leased.artifact if header["kind"] == "window" else None)


def test_an_idle_lasts_as_planned_and_has_no_inferences(leased):
    plan = block_plan(window_plan(leased.artifact), idle_ns=_S // 4)
    leased.start(plan)
    leased.wait(plan)
    found = leased.collect(plan)
    for position in (0, 2):
        header, arrays = found[position]
        assert marks(header)["window_end"] - marks(header)["window_start"] >= _S // 4
        assert header["inferences"] == len(arrays["latency_ns"]) == 0
        assert header["cpu_ns"] is header["load_ns"] is header["sampler"] is None


def test_a_real_model_is_measured_on_its_sample_input(leased):
    model = leased.put((DATA / "tiny.onnx").read_bytes())
    buffer = io.BytesIO()
    np.savez(buffer, x=np.ones((1, 8), dtype=np.float32))
    sample = leased.put(buffer.getvalue())
    plan = block_plan(
        window_plan(model, inputs_sha256=sample, runtime="onnx_runtime", threads=2, batch=2),
        window_plan(model, runtime="onnx_runtime", cell_id="paced", load=LoadPlan("paced", 200.0, _S)))
    leased.start(plan)
    assert leased.wait(plan)["state"] == "done"
    found = leased.collect(plan)
    header, arrays = found[1]
    assert header["runtime"]["input x"] == "float32[2, 8]"
    assert header["runtime"]["inputs"] == "sample"
    assert header["inferences"] == len(arrays["latency_ns"]) >= 10
    assert header["memory"]["rss_baseline_bytes"] <= header["memory"]["rss_peak_bytes"]
    assert header["deadline_misses"] is None
    assert found[2][0]["deadline_misses"] == 0
    assert found[2][0]["runtime"]["inputs"] == "random"


@pytest.mark.parametrize(("model", "runtime", "code"), [
    ("tiny_future_opset.onnx", "onnx_runtime", "opset"), ("README", "onnx_runtime", "corrupt")])
def test_an_artifact_that_cannot_run_is_one_error_and_the_block_goes_on(leased, model, runtime, code):
    content = (DATA / model).read_bytes() if model.endswith(".onnx") else b"no model"
    plan = block_plan(window_plan(leased.put(content), runtime=runtime), window_plan(leased.artifact))
    leased.start(plan)
    assert leased.wait(plan)["windows_done"] == 2
    found = leased.collect(plan)
    assert found[1][0]["error"]["code"] == code
    assert "worker_died" not in flags(found[1][0])
    assert found[2][0]["error"] is None


def test_not_a_number_in_the_output_voids_that_window_only(leased):
    model = leased.put((DATA / "tiny_nan.onnx").read_bytes())
    plan = block_plan(window_plan(model, runtime="onnx_runtime"), window_plan(leased.artifact))
    leased.start(plan)
    leased.wait(plan)
    found = leased.collect(plan)
    assert flags(found[1][0])["output_not_finite"]["severity"] == "void"
    assert "output_not_finite" not in flags(found[2][0])


def test_while_a_block_runs_the_host_is_locked_and_afterwards_free(leased, tmp_path):
    plan = block_plan(window_plan(leased.artifact, length_ns=_S // 2))
    leased.start(plan)
    worker_pid(leased, plan)
    assert not host_is_free(tmp_path)
    assert leased.wait(plan)["state"] == "done"
    assert host_is_free(tmp_path)
    assert (tmp_path / HOST_LOCK_NAME).stat().st_mode & 0o777 == 0o666


def test_two_devices_on_one_host_never_measure_at_the_same_time(start_agent, tmp_path):
    spans, started = [], []
    for name in ("one", "two"):
        agent = leased_on(start_agent, Path("/"), home=tmp_path / name)
        plan = block_plan(window_plan(agent.artifact, length_ns=_S // 5), block_id=f"block-{name}")
        agent.start(plan)
        started.append((agent, plan))
    for agent, plan in started:
        assert agent.wait(plan)["state"] == "done"
        times_ns = [mark["t_ns"] for header, _ in agent.collect(plan).values() for mark in header["marks"]]
        spans.append((min(times_ns), max(times_ns)))
    spans.sort()
    assert spans[0][1] < spans[1][0]


def test_waiting_ends_with_the_time_too(leased):
    plan = block_plan(window_plan(leased.artifact, length_ns=_S))
    leased.start(plan)
    assert leased.call("block.wait", block_id=plan.block_id, timeout_s=0)["state"] == "running"
    assert leased.call("block.wait", block_id="nobody", timeout_s=60)["state"] == "unknown"
    assert leased.wait(plan)["state"] == "done"


def test_one_block_at_a_time_and_starting_the_same_again_changes_nothing(leased):
    plan = block_plan(window_plan(leased.artifact, length_ns=_S // 2))
    leased.start(plan)
    leased.start(plan)
    busy = refusal(lambda: leased.start(block_plan(window_plan(leased.artifact), block_id="other")))
    assert (busy.code, busy.header["block_id"], busy.header["retryable"]) == ("busy", plan.block_id, True)
    leased.wait(plan)
    hashes = [entry["sha256"] for entry in leased.call("spool.list")["entries"]]
    leased.start(plan)
    assert leased.wait(plan)["state"] == "done"
    assert [entry["sha256"] for entry in leased.call("spool.list")["entries"]] == hashes
    other = block_plan(window_plan(leased.artifact, cell_id="another"))
    assert "attempt 1" in str(refusal(lambda: leased.start(other)))


def test_a_plan_that_cannot_be_executed_is_refused_before_it_starts(leased):
    missing = refusal(lambda: leased.start(block_plan(window_plan("f" * 64))))
    assert (missing.code, missing.header["sha256"]) == ("missing_artifact", "f" * 64)
    unknown = refusal(lambda: leased.start(block_plan(window_plan(leased.artifact, runtime="abacus"))))
    assert unknown.code == "bad_plan"
    assert "no_op, onnx_runtime" in unknown.header["message"]
    for plan in ({}, None, [], {"block_id": "x"}):
        assert refusal(lambda plan=plan: leased.call("block.start", plan=plan, fence=leased.fence)).code == "bad_plan"
    assert list((leased.home / "blocks").iterdir()) == []


def test_old_blocks_are_forgotten_once_their_windows_are_fetched(leased):
    home = AgentHome(leased.home)
    for number in range(40):
        (home.blocks / f"old-{number:02}").mkdir()
        os.utime(home.blocks / f"old-{number:02}", (number, number))
    (home.spool / "old-00").mkdir()
    (home.spool / "old-00" / "1-0.rec").touch()
    plan = block_plan(window_plan(leased.artifact))
    leased.start(plan)
    leased.wait(plan)
    names = sorted(folder.name for folder in home.blocks.iterdir())
    assert names == ["block-1", "old-00", *(f"old-{number:02}" for number in range(8, 40))]


def test_recordings_of_any_ended_block_can_be_fetched_acknowledged_and_then_forgotten(leased):
    home = AgentHome(leased.home)
    for number in range(33):
        (home.blocks / f"old-{number:02}").mkdir()
        os.utime(home.blocks / f"old-{number:02}", (number, number))
    Spool(home).add("old-00", 1, 0, pack_recording({"cell_id": None}, {}))
    Spool(home).add("never-started-here", 1, 0, pack_recording({"cell_id": None}, {"x": array("q", [1])}))
    entries = leased.call("spool.list")["entries"]
    assert [entry["block_id"] for entry in entries] == ["never-started-here", "old-00"]
    hashes = [entry["sha256"] for entry in entries]
    assert leased.call("spool.ack", sha256s=hashes, fence=leased.fence) == {"removed": 2}
    assert list(home.spool.iterdir()) == []
    leased.start(block_plan(window_plan(leased.artifact)))
    assert not (home.blocks / "old-00").exists()
    assert (home.blocks / "old-01").exists()
    assert leased.wait(block_plan(window_plan(leased.artifact)))["state"] == "done"
