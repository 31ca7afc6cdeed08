"""One window or idle of a block: the sampler around it, the worker in it, one recording out of both."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from array import array
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Set, Tuple

from agents.children import command
from agents.clocks import utc_now
from agents.flags import DEGRADED, INFO, VOID, Flag, flag
from agents.home import AgentHome, last_line, write_atomic
from agents.probe_set import HANGING_S, Missing, OpenProbe, read_state
from agents.sampler import Sampler, Samples
from agents.waiting import Waiter
from agents.wire.plan import BlockPlan, WindowPlan
from agents.wire.recording import RecordingError, pack_recording, unpack_recording
from agents.worker_order import order_for, order_to_json

_OVERRUN_RATIO = 0.02


class Measuring(NamedTuple):
    """What all windows of one block share; `hanging` fills with the names of probes that do not answer any more."""

    home: AgentHome
    plan: BlockPlan
    boot_id: str
    sampled: Sequence[OpenProbe]
    state_probes: Sequence[OpenProbe]
    flags: Sequence[Flag]
    waiter: Waiter
    hanging: Set[str]
    hanging_s: float = HANGING_S

    @property
    def folder(self) -> Path:
        """The block's folder."""
        return self.home.block(self.plan.block_id)


def measure_idle(block: Measuring, position: int) -> bytes:
    """The recording of an idle; raises Cancelled."""
    header = _header(block, "idle", position, None)
    sampler = _sampler(block, position)
    start_ns = time.monotonic_ns()
    try:
        block.waiter.wait(start_ns + block.plan.idle_ns)
    finally:
        end_ns = time.monotonic_ns()
        samples = sampler.stop()
    header["marks"] = [{"name": "window_start", "t_ns": start_ns}, {"name": "window_end", "t_ns": end_ns}]
    return _finish(block, header, {"latency_ns": array("q"), "warmup_latency_ns": array("q")}, samples)


def measure_window(block: Measuring, position: int, window: WindowPlan) -> bytes:
    """The recording of a window; a worker that dies makes one with an error. Raises Cancelled or OSError."""
    header = _header(block, "window", position, window)
    part = block.folder / "part.rec"
    part.unlink(missing_ok=True)
    sampler = _sampler(block, position)
    try:
        problem = _run_worker(block, window, part)
    finally:
        samples = sampler.stop()
    arrays: "Dict[str, array[int]]" = {"latency_ns": array("q"), "warmup_latency_ns": array("q")}
    if not problem:
        try:
            seen, arrays = unpack_recording(part.read_bytes())
            header["flags"] += seen.pop("flags")
            header.update(seen)
        except (OSError, RecordingError) as error:
            problem = ("worker_died", f"the worker left no usable recording: {error}")
    if problem:
        header["error"] = {"code": problem[0], "message": problem[1]}
        header["flags"].append(flag("worker_died", VOID, problem[1]))
    part.unlink(missing_ok=True)
    return _finish(block, header, arrays, samples)


def _run_worker(block: Measuring, window: WindowPlan, part: Path) -> Tuple[str, ...]:
    """Start a worker and wait for its end: nothing if it ended well, else code and message."""
    order_path = block.folder / "order.json"
    home, deadline_ns = block.home, block.plan.window_deadline_ns
    inputs = None if window.inputs_sha256 is None else home.blob(window.inputs_sha256)
    order = order_for(window, deadline_ns, home.blob(window.artifact_sha256), inputs, part)
    order_path.write_text(json.dumps(order_to_json(order)), encoding="utf-8")
    until_ns = time.monotonic_ns() + deadline_ns
    log_path, pid_path = block.folder / "log.txt", block.folder / "worker.pid"
    with log_path.open("ab") as log:
        logged_bytes = log.tell()
        worker = subprocess.Popen(command("worker", str(order_path), "--parent", str(os.getpid())),
                                  stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    try:
        write_atomic(pid_path, str(worker.pid).encode())
        in_time = block.waiter.wait(until_ns, lambda: worker.poll() is not None)
    finally:
        if worker.poll() is None:
            os.killpg(worker.pid, signal.SIGKILL)
            worker.wait()
        pid_path.unlink(missing_ok=True)
    if not in_time:
        return "deadline", f"the worker was killed: the window did not end within {deadline_ns / 1e9:.1f} s"
    return _how_it_ended(worker.returncode, last_line(log_path, logged_bytes))


def _how_it_ended(status: int, last_line: str) -> Tuple[str, ...]:
    if status == 0:
        return ()
    how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
    return "worker_died", f"the worker {how}" + (f": {last_line}" if last_line else "")


def _header(block: Measuring, kind: str, position: int, window: Optional[WindowPlan]) -> Dict[str, Any]:
    return {
        "format": 1, "kind": kind, "block_id": block.plan.block_id,
        "cell_id": None if window is None else window.cell_id,
        "artifact_sha256": None if window is None else window.artifact_sha256,
        "attempt": block.plan.attempt, "position": position, "boot_id": block.boot_id, "started_utc": utc_now(),
        "marks": [], "inferences": 0, "deadline_misses": None, "load_ns": None, "first_inference_ns": None,
        "cpu_ns": None, "memory": {}, "state_before": _state(block),
        "state_after": None, "sampler": None, "runtime": {}, "flags": list(block.flags), "error": None, "traces": [],
    }


def _state(block: Measuring) -> Dict[str, Dict[str, Any]]:
    return read_state(block.state_probes, block.hanging, block.hanging_s)


def _sampler(block: Measuring, position: int) -> Sampler:
    sampled = [probe for probe in block.sampled if probe.name not in block.hanging]
    sampler = Sampler(sampled, block.plan.sample_rate_hz, seed=position, hanging_s=block.hanging_s)
    sampler.start()
    return sampler


def _finish(block: Measuring, header: Dict[str, Any], arrays: "Dict[str, array[int]]", samples: Samples) -> bytes:
    if samples.hanging is not None:
        block.hanging.add(samples.hanging)
    header["state_after"] = _state(block)
    for name in sorted(block.hanging):
        header["flags"] += Missing(name, "error", "a read did not return; it is not read again in this block").flags()
    if block.sampled:
        header["sampler"] = samples.account()
        header["flags"] += _sampler_flags(samples)
    header["traces"], traces = samples.traces(f"agent:{block.boot_id}")
    return pack_recording(header, {**arrays, **traces})


def _sampler_flags(samples: Samples) -> List[Flag]:
    if not samples.is_complete:
        how = "ended" if samples.hanging is None else f"hung in a read of probe {samples.hanging}"
        return [flag("energy_gap", DEGRADED, f"the sampler {how} before the window ended; see the block's log")]
    if samples.overruns:
        severity = DEGRADED if samples.overruns > _OVERRUN_RATIO * samples.samples else INFO
        return [flag("sampler_overrun", severity, f"{samples.overruns} samples were skipped, {samples.samples} taken")]
    return []
