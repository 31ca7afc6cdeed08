"""A worker leaves one part of a recording: marks in order, every latency, memory, and what was wrong."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agents.wire.plan import LoadPlan
from agents.wire.recording import unpack_recording
from agents.worker import measure, peak_rss_bytes
from agents.worker_order import order_for, order_to_json
from tests.support.agent_process import window_plan

DATA = Path(__file__).parents[2] / "data"
MARKS = ["worker_start", "load_start", "load_end", "first_end", "warmup_end", "window_start", "window_end"]
_S = 1_000_000_000


def order(tmp_path, artifact=DATA / "tiny.onnx", deadline_ns=30 * _S, **changes):
    return order_for(window_plan("a" * 64, **changes), deadline_ns, artifact, None, tmp_path / "part")


def flags(part):
    return {flag["code"]: flag for flag in part.header["flags"]}


@pytest.mark.parametrize("runtime", ["no_op", "onnx_runtime"])
def test_a_window_has_all_marks_in_order_and_one_latency_per_inference(tmp_path, runtime):
    part = measure(order(tmp_path, runtime=runtime))
    header, latency_ns = part.header, part.arrays["latency_ns"]
    times_ns = [mark["t_ns"] for mark in header["marks"]]
    assert [mark["name"] for mark in header["marks"]] == MARKS
    assert times_ns == sorted(times_ns)
    assert header["inferences"] == len(latency_ns) >= 10
    assert min(latency_ns) > 0
    assert sum(latency_ns) <= times_ns[-1] - times_ns[-2]
    assert times_ns[-1] - times_ns[-2] >= _S // 20
    assert len(part.arrays["warmup_latency_ns"]) >= 1
    assert header["load_ns"] == times_ns[2] - times_ns[1]
    assert header["first_inference_ns"] == times_ns[3] - times_ns[2]
    assert header["cpu_ns"] > 0
    assert header["error"] is None
    assert header["deadline_misses"] is None
    assert header["flags"] == []


def test_memory_is_the_peak_before_and_after_the_artifact(tmp_path):
    memory = measure(order(tmp_path, runtime="onnx_runtime")).header["memory"]
    assert 0 < memory["rss_baseline_bytes"] <= memory["rss_peak_bytes"] <= peak_rss_bytes()


def test_a_kernel_that_does_not_say_leaves_memory_out_and_flags_it(tmp_path):
    (tmp_path / "status").write_text("Name:\tx\nVmRSS:\t  100 kB\n")
    for status in (tmp_path / "status", tmp_path / "absent"):
        part = measure(order(tmp_path), status)
        assert part.header["memory"] == {}
        assert flags(part)["memory_unknown"]["severity"] == "info"


def test_vmhwm_is_read_in_kibibytes(tmp_path):
    (tmp_path / "status").write_text("VmPeak:\t9 kB\nVmHWM:\t   2184 kB\nVmRSS:\t 3 kB\n")
    assert peak_rss_bytes(tmp_path / "status") == 2184 * 1024


def test_without_a_warm_up_there_is_no_warm_up_latency(tmp_path):
    part = measure(order(tmp_path, warmup_ns=0))
    assert len(part.arrays["warmup_latency_ns"]) == 0
    assert [mark["name"] for mark in part.header["marks"]] == MARKS


def test_a_paced_window_counts_misses(tmp_path):
    load = LoadPlan("paced", 100.0, 0)
    part = measure(order(tmp_path, load=load, inferences_min=3))
    assert part.header["inferences"] >= 3
    assert part.header["deadline_misses"] == part.header["inferences"]  # nothing ends in no time at all
    marks = {mark["name"]: mark["t_ns"] for mark in part.header["marks"]}
    assert marks["window_end"] - marks["window_start"] >= part.header["inferences"] * _S // 100


def test_a_window_cut_by_its_deadline_is_flagged_short(tmp_path):
    part = measure(order(tmp_path, length_ns=60 * _S, deadline_ns=_S // 5, inferences_min=10**9))
    assert flags(part)["window_short"]["severity"] == "degraded"
    assert "planned 1000000000 in at least 60.000 s" in flags(part)["window_short"]["detail"]
    assert part.header["inferences"] == len(part.arrays["latency_ns"]) > 0


def test_not_a_number_voids_the_window(tmp_path):
    part = measure(order(tmp_path, DATA / "tiny_nan.onnx", runtime="onnx_runtime"))
    assert flags(part)["output_not_finite"]["severity"] == "void"
    assert part.header["error"] is None


def test_a_batch_the_model_cannot_take_is_flagged(tmp_path):
    part = measure(order(tmp_path, DATA / "tiny_fixed_batch.onnx", runtime="onnx_runtime", batch=4))
    assert flags(part)["batch_mismatch"]["severity"] == "degraded"


def test_a_refusal_is_an_error_with_the_marks_so_far(tmp_path):
    part = measure(order(tmp_path, DATA / "tiny_future_opset.onnx", runtime="onnx_runtime"))
    assert part.header["error"]["code"] == "opset"
    assert [mark["name"] for mark in part.header["marks"]] == MARKS[:2]
    assert part.header["load_ns"] is None
    assert part.header["inferences"] == len(part.arrays["latency_ns"]) == 0


def start(bundle, tmp_path, order_, *arguments, flags=(), **popen):
    path = tmp_path / "order.json"
    path.write_text(json.dumps(order_to_json(order_)))
    return subprocess.Popen([sys.executable, *flags, str(bundle), "worker", str(path), *arguments], **popen)


def test_the_process_writes_its_part_to_the_file_it_was_told(bundle, tmp_path):
    assert start(bundle, tmp_path, order(tmp_path, runtime="onnx_runtime")).wait(60) == 0
    header, arrays = unpack_recording((tmp_path / "part").read_bytes())
    assert header["inferences"] == len(arrays["latency_ns"]) >= 10


def memory_delta_bytes(bundle, tmp_path, **changes):
    assert start(bundle, tmp_path, order(tmp_path, **changes)).wait(60) == 0
    header, arrays = unpack_recording((tmp_path / "part").read_bytes())
    memory = header["memory"]
    return memory["rss_peak_bytes"] - memory["rss_baseline_bytes"], sum(map(len, arrays.values()))


def test_memory_does_not_grow_with_the_number_of_inferences(bundle, tmp_path):
    short_bytes, few = memory_delta_bytes(bundle, tmp_path, length_ns=_S // 10)
    for changes in ({"length_ns": _S}, {"length_ns": _S // 10, "warmup_ns": _S}, {"length_ns": _S, "warmup_ns": 0}):
        long_bytes, many = memory_delta_bytes(bundle, tmp_path, **changes)
        assert 8 * (many - few) > 2 * 1024 * 1024  # there was something to see
        assert abs(long_bytes - short_bytes) < 1024 * 1024


def test_an_order_may_come_on_stdin(bundle, tmp_path):
    text = json.dumps(order_to_json(order(tmp_path)))
    subprocess.run([sys.executable, str(bundle), "worker", "-"], input=text.encode(), check=True, timeout=60)
    assert unpack_recording((tmp_path / "part").read_bytes())[0]["error"] is None


def test_without_site_packages_the_runtime_is_missing_not_a_crash(bundle, tmp_path):
    assert start(bundle, tmp_path, order(tmp_path, runtime="onnx_runtime"), flags=("-S", "-E")).wait(60) == 0
    header, _ = unpack_recording((tmp_path / "part").read_bytes())
    assert header["error"]["code"] == "missing"
    assert "onnxruntime is not installed" in header["error"]["message"]


def test_a_worker_without_its_parent_does_not_start(bundle, tmp_path):
    assert start(bundle, tmp_path, order(tmp_path), "--parent", "1").wait(60) == 1
    assert not (tmp_path / "part").exists()


def test_a_worker_dies_with_its_parent(bundle, tmp_path):
    path = tmp_path / "order.json"
    path.write_text(json.dumps(order_to_json(order(tmp_path, length_ns=60 * _S, deadline_ns=600 * _S))))
    code = ("import os, subprocess, sys, time\n"
            "line = [sys.executable, sys.argv[1], 'worker', sys.argv[2], '--parent', str(os.getpid())]\n"
            "print(subprocess.Popen(line).pid, flush=True); time.sleep(600)")
    parent = subprocess.Popen([sys.executable, "-c", code, str(bundle), str(path)], stdout=subprocess.PIPE)
    worker = int(parent.stdout.readline())
    time.sleep(0.5)  # the worker asks for this a moment after its start
    parent.kill()
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 30
    while is_running(worker) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not is_running(worker)


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_worker_that_nobody_kills_ends_soon_after_its_deadline(bundle, tmp_path):
    inputs = tmp_path / "fifo"
    os.mkfifo(inputs)  # reading the sample input waits for ever
    stuck = order(tmp_path, runtime="onnx_runtime", deadline_ns=_S)._replace(inputs=inputs)
    assert start(bundle, tmp_path, stuck).wait(60) == -14
    assert not (tmp_path / "part").exists()
