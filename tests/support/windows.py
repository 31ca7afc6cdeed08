"""Windows, traces and blocks built from the power they should show."""

import numpy as np

from lab.domain.recording import BlockWindows, HostState, Mark, Trace, Window
from tests.support import samples

S = 1_000_000_000
BOOT = "boot-1"


def int64(values):
    return np.array(values, dtype=np.int64)


def trace(t_ns, raw, **changes):
    values = {"rail": "VDD_IN", "quantity": "power_w", "kind": "sample", "clock": f"agent:{BOOT}", "scale": 1e-6,
              "t_ns": int64(t_ns), "raw": int64(raw), "read_span_ns": int64([0] * len(t_ns))}
    return Trace(**(values | changes))


def times(start_ns=0, end_ns=2 * S, step_ns=S // 50):
    """Read times that reach one step beyond both ends."""
    return list(range(start_ns - step_ns, end_ns + step_ns + 1, step_ns))


def constant_power(power_w, start_ns=S, end_ns=2 * S, **changes):
    """A sampled power trace of one value, in microwatts."""
    at = times(start_ns, end_ns)
    return trace(at, [round(power_w * 1e6)] * len(at), **changes)


def constant_counter(power_w, start_ns=S, end_ns=2 * S, first=0, wrap_at=None, **changes):
    """A counter in microjoules that grows at that power, taken modulo `wrap_at`."""
    at = times(start_ns, end_ns)
    grown = [first + round((t_ns - at[0]) * power_w * 1e-3) for t_ns in at]
    return trace(at, [raw % wrap_at if wrap_at else raw for raw in grown], quantity="energy_j", kind="counter",
                 wrap_at=wrap_at, **changes)


def window(latency_ns=(1_000_000,) * 10, start_ns=S, end_ns=2 * S, traces=(), **changes):
    values = {
        "kind": "window", "cell_id": samples.cell().id, "block_id": "block-1", "attempt": 0, "position": 1,
        "boot_id": BOOT, "started_utc": "2030-01-31T12:00:00Z",
        "marks": (Mark(name="window_start", t_ns=start_ns), Mark(name="window_end", t_ns=end_ns)),
        "inferences": len(latency_ns), "latency_ns": int64(latency_ns), "warmup_latency_ns": int64([]),
        "deadline_misses": None, "load_ns": 30_000_000, "first_inference_ns": 4_000_000, "cpu_ns": 500_000_000,
        "memory_bytes": (("rss_baseline_bytes", 50_000_000), ("rss_peak_bytes", 70_000_000)),
        "state_before": HostState(temperatures_c=(("cpu", 40.0),), frequencies_hz=(("cpu0", 1_500_000_000),)),
        "state_after": HostState(temperatures_c=(("cpu", 50.0),), frequencies_hz=(("cpu0", 1_500_000_000),)),
        "traces": tuple(traces), "sampler_cpu_ns": None, "flags": (), "error": None, "sha256": "0" * 64,
    }
    return Window(**(values | changes))


def idle(power_w, start_ns, end_ns, position, **changes):
    changes = {"traces": (constant_power(power_w, start_ns, end_ns),), "load_ns": None, "first_inference_ns": None,
               "cpu_ns": None, "memory_bytes": ()} | changes
    return window((), start_ns, end_ns, kind="idle", cell_id=None, position=position, **changes)


def block(number=0, idles=(), **changes):
    """One block; `changes` are the window's."""
    block_id = f"block-{number}"
    return BlockWindows(block_id=block_id, number=number, window=window(block_id=block_id, **changes),
                        idles=tuple(idles))


def power_block(number, power_w, before_w=0.5, after_w=0.5, **changes):
    """One block with a constant-power window of one second between two idles of one second."""
    idles = (idle(before_w, -S, 0, 0), idle(after_w, 3 * S, 4 * S, 2))
    return block(number, idles, **({"traces": (constant_power(power_w),)} | changes))
