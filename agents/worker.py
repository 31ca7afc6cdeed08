"""A fresh process for one window: load one model, warm up, measure, leave a part of the recording, end."""

from __future__ import annotations

import gc
import json
import os
import re
import signal
import sys
import time
from array import array
from importlib import import_module
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional

from agents.flags import DEGRADED, INFO, VOID, Flag, flag
from agents.runtimes import RUNTIMES
from agents.runtimes.base import LoadedModel, Runtime, RuntimeRefused, RuntimeSettings
from agents.timed_loop import MAX_WARMUP_INFERENCES, Bounds, Timed, back_to_back, latency_array, paced, reserve, warm_up
from agents.wire.recording import pack_recording
from agents.worker_order import WorkerOrder, order_from_json

STATUS = Path("/proc/self/status")
STOP_RATIO = 0.9
"""Share of the deadline after which the worker ends its loop by itself."""

_PR_SET_PDEATHSIG = 1  # include/uapi/linux/prctl.h


class Part(NamedTuple):
    """What a worker saw: header fields of the recording, and its arrays."""

    header: Dict[str, Any]
    arrays: "Dict[str, array[int]]"


def run_worker(order_path: str, parent_pid: Optional[int] = None) -> int:
    """Measure as ordered by the JSON in that file (`-` is stdin); exit status 0 also where the runtime refused.

    With `parent_pid` the worker ends when that process does.
    """
    text = sys.stdin.read() if order_path == "-" else Path(order_path).read_text(encoding="utf-8")
    order = order_from_json(json.loads(text))
    signal.setitimer(signal.ITIMER_REAL, order.deadline_ns / 1e9 + 1.0)  # if nobody is left to kill this process
    if parent_pid is not None:
        _die_with(parent_pid)
    part = measure(order)
    order.part.write_bytes(pack_recording(part.header, part.arrays))
    return 0


def measure(order: WorkerOrder, status: Path = STATUS) -> Part:
    """One window in this process; a refusal of the runtime is an `error` in the part, not an exception."""
    window = _Window(order, status)
    try:
        window.measure()
    except RuntimeRefused as refusal:
        window.header["error"] = {"code": refusal.code, "message": str(refusal)[:2000]}
    return Part(window.header, window.arrays)


def load_runtime(name: str) -> Runtime:
    """The runtime of that name; raises KeyError for an unknown one, RuntimeRefused for one that is missing."""
    module, _, attribute = RUNTIMES[name].partition(":")
    runtime: Runtime = getattr(import_module(module), attribute)()
    runtime.version()  # loads its library, so that the memory baseline includes it
    return runtime


def peak_rss_bytes(status: Path = STATUS) -> Optional[int]:
    """VmHWM of this process, or None where the kernel does not report it."""
    try:
        match = re.search(rb"^VmHWM:\s*([0-9]+) kB$", status.read_bytes(), re.MULTILINE)
    except OSError:
        return None
    return int(match[1]) * 1024 if match else None


class _Window:
    """The steps of one window in order; `header` and `arrays` hold what has been seen so far."""

    def __init__(self, order: WorkerOrder, status: Path) -> None:
        self._order = order
        self._status = status
        self._stop_by_ns = 0
        self._baseline_bytes: Optional[int] = None
        self.arrays: "Dict[str, array[int]]" = {"latency_ns": array("q"), "warmup_latency_ns": array("q")}
        self._flags: List[Flag] = []
        self._marks: List[Dict[str, Any]] = []
        self.header: Dict[str, Any] = {
            "marks": self._marks, "inferences": 0, "deadline_misses": None, "load_ns": None,
            "first_inference_ns": None, "cpu_ns": None, "memory": {}, "runtime": {}, "flags": self._flags,
            "error": None,
        }

    def measure(self) -> None:
        start_ns = self._mark("worker_start")
        self._stop_by_ns = start_ns + int(self._order.deadline_ns * STOP_RATIO)
        latency_ns = latency_array()
        warmup_ns = latency_array()
        runtime = load_runtime(self._order.runtime)
        self._baseline_bytes = peak_rss_bytes(self._status)
        model = self._load(runtime)
        gc.collect()
        gc.freeze()
        gc.disable()
        self._warm_up(model, warmup_ns, latency_ns)
        timed, cpu_ns = self._time(model, latency_ns)
        gc.enable()
        self.header.update(inferences=timed.inferences, deadline_misses=timed.misses, cpu_ns=cpu_ns)
        self._check(model, timed)

    def _load(self, runtime: Runtime) -> LoadedModel:
        order = self._order
        start_ns = self._mark("load_start")
        model = runtime.load(order.artifact, RuntimeSettings(order.threads, order.batch, order.inputs))
        loaded_ns = self._mark("load_end")
        model.infer()
        first_ns = self._mark("first_end")
        self.header.update(load_ns=loaded_ns - start_ns, first_inference_ns=first_ns - loaded_ns,
                           runtime=model.facts())
        self._flags += model.flags()
        return model

    def _warm_up(self, model: LoadedModel, warmup_ns: "array[int]", latency_ns: "array[int]") -> None:
        if self._order.warmup_ns:
            bounds = Bounds(self._order.warmup_ns, 0, self._stop_by_ns, MAX_WARMUP_INFERENCES)
            timed = warm_up(model.infer, warmup_ns, bounds, self._remember_memory)
            self.arrays["warmup_latency_ns"] = warmup_ns
            reserve(latency_ns, self._order.length_ns, timed)
        else:
            self._remember_memory()
        self._mark("warmup_end")

    def _time(self, model: LoadedModel, latency_ns: "array[int]") -> "tuple[Timed, int]":
        order, load = self._order, self._order.load
        bounds = Bounds(order.length_ns, order.inferences_min, self._stop_by_ns)
        infer = model.infer
        cpu_before_ns = time.process_time_ns()
        if load.kind == "paced" and load.rate_hz is not None:
            timed = paced(infer, latency_ns, bounds, load.rate_hz, load.deadline_ns)
        else:
            timed = back_to_back(infer, latency_ns, bounds)
        cpu_ns = time.process_time_ns() - cpu_before_ns
        self.arrays["latency_ns"] = latency_ns
        self._marks += [{"name": "window_start", "t_ns": timed.start_ns}, {"name": "window_end", "t_ns": timed.end_ns}]
        return timed, cpu_ns

    def _remember_memory(self) -> None:
        """The peak, read before any array grows: a model must not seem larger for being measured more often."""
        found = {"rss_baseline_bytes": self._baseline_bytes, "rss_peak_bytes": peak_rss_bytes(self._status)}
        self.header["memory"] = {name: value for name, value in found.items() if value is not None}
        if len(self.header["memory"]) < len(found):
            self._flags.append(flag("memory_unknown", INFO, f"{self._status} gives no VmHWM"))

    def _check(self, model: LoadedModel, timed: Timed) -> None:
        order = self._order
        if timed.inferences < order.inferences_min or timed.end_ns - timed.start_ns < order.length_ns:
            seconds = (timed.end_ns - timed.start_ns) / 1e9
            self._flags.append(flag("window_short", DEGRADED, f"{timed.inferences} inferences in {seconds:.3f} s; "
                                    f"planned {order.inferences_min} in at least {order.length_ns / 1e9:.3f} s"))
        if not model.outputs_finite():
            self._flags.append(flag("output_not_finite", VOID, "an output of the last inference holds NaN or "
                                                               "infinity"))

    def _mark(self, name: str) -> int:
        now_ns = time.monotonic_ns()
        self._marks.append({"name": name, "t_ns": now_ns})
        return now_ns


def _die_with(parent_pid: int) -> None:
    """Ask the kernel to kill this process when the block process dies, whatever it dies of."""
    try:
        import ctypes
    except ImportError:
        return  # a Python built without libffi; the timer above still ends this process
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent_pid:  # it died before that call
        sys.exit(1)
