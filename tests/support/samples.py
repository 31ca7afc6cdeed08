"""Small whole examples of what the store keeps, each with every detail open to change."""

import hashlib
from array import array

from agents.wire.recording import pack_recording
from lab.domain.artifact import Artifact, CompressedModel, StepOutcome
from lab.domain.block import Cell, cell_id_of
from lab.domain.campaign import PROTOCOLS, Campaign, Settings, StepSpec, Technique
from lab.domain.device import Device, DeviceFacts, DeviceProfile, Origin, Rail, Scope
from lab.domain.flags import Verdict
from lab.domain.result import Comparison, Interval, Result

S = 1_000_000_000
BASELINE = Technique(name="baseline")
INT8 = Technique(name="int8", steps=(StepSpec(name="quantize_static", params=(("bits", 8),)),))
WORKLOAD_SHA256 = hashlib.sha256(b"workload").hexdigest()
RAIL = Rail(name="VDD_IN", scope=Scope.MODULE, source="hwmon", headline=True)
DEVICE = Device(name="board", url="local", profile="test-board")


def profile(**changes):
    values = {"name": "test-board", "title": "Test board", "transport": "local", "rails": (RAIL,),
              "origin": Origin.MEASURED}
    return DeviceProfile(**(values | changes))


def facts(**changes):
    values = {"agent_sha256": "0" * 64, "boot_id": "boot-1", "machine": "x86_64", "system": "Linux", "kernel": "6.1",
              "python": "3.11.7", "cpu_model": "Model", "cpu_count": 2, "isa": ("avx2",), "memory_bytes": 2**31,
              "model": None, "runtimes": (("onnxruntime", "1.22"),), "channels": (), "unavailable": ()}
    return DeviceFacts(**(values | changes))


def campaign(**changes):
    values = {"name": "first", "owner": "ada@host", "workload": "digits", "techniques": (BASELINE, INT8),
              "seeds": (0,), "devices": ("board",), "settings": (Settings(),), "protocol": PROTOCOLS["quick"]}
    return Campaign(**(values | changes))


def cell(technique=BASELINE, **changes):
    values = {"workload_sha256": WORKLOAD_SHA256, "technique": technique, "seed": 0, "device": "board",
              "profile_sha256": "b" * 64, "settings": Settings(), "protocol": PROTOCOLS["quick"]}
    values |= changes
    return Cell(id=cell_id_of(**values), workload="digits", **values)


def compressed(technique=INT8, seed=0, **changes):
    values = {"sha256": hashlib.sha256(technique.name.encode()).hexdigest(), "size_bytes": 1000, "format": "onnx",
              "opset": 17, "ir_version": 8, "parent_sha256": None, "step": None, "parameters": 123, "macs": 456,
              "accuracy_ratio": 0.975, "metric": "accuracy", "compress_ns": 5 * S}
    outcomes = tuple(
        StepOutcome(position=at, step=step.name, params=step.params, cache_key="c" * 64, cached=False, parameters=123,
                    macs=456, size_bytes=1000, accuracy_ratio=0.975, duration_ns=S, notes=("a note",))
        for at, step in enumerate(technique.steps))
    return CompressedModel(technique=technique.name, seed=seed, artifact=Artifact(**(values | changes)),
                           outcomes=outcomes)


def result(cell_id, **changes):
    values = dict.fromkeys((
        "latency_p90_ns", "latency_p95_ns", "latency_max_ns", "throughput_hz", "load_ns", "first_inference_ns",
        "cpu_per_inference_ns", "memory_kind", "memory_peak_bytes", "memory_delta_bytes", "deadline_misses",
        "idle_power_w", "mean_power_w", "energy_gross_j", "energy_net_j", "power_scope", "power_origin",
        "temperature_max_c"))
    values |= {"cell_id": cell_id, "n_blocks": 3, "n_inferences": 300, "load": Settings().load,
               "latency_p50_ns": Interval(value=1.5e6, low=1.4e6, high=1.6e6),
               "latency_p99_ns": Interval(value=2e6, low=None, high=None), "flags": (), "verdict": Verdict.VALID}
    return Result(**(values | changes))


def comparison(cell_id, baseline_cell_id, **changes):
    values = {"metric": "latency_p50_ns", "cell_id": cell_id, "baseline_cell_id": baseline_cell_id, "ratio": 0.5,
              "low_ratio": 0.45, "high_ratio": 0.55, "n_blocks": 3, "answer": "better"}
    return Comparison(**(values | changes))


def header(**changes):
    """Header of a sound window of 4 inferences in one second from t = 10 s."""
    marks = [{"name": name, "t_ns": (at + 1) * S} for at, name in enumerate(
        ("worker_start", "load_start", "load_end", "first_end", "warmup_end"))]
    marks += [{"name": "window_start", "t_ns": 10 * S}, {"name": "window_end", "t_ns": 11 * S}]
    values = {
        "format": 1, "kind": "window", "block_id": "block-1", "cell_id": cell().id, "attempt": 0, "position": 1,
        "boot_id": "boot-1", "started_utc": "2030-01-31T12:00:00Z", "marks": marks, "inferences": 4,
        "deadline_misses": None, "load_ns": 30_000_000, "first_inference_ns": 4_000_000, "cpu_ns": 900_000_000,
        "memory": {"rss_baseline_bytes": 50_000_000, "rss_peak_bytes": 70_000_000},
        "state_before": {"temperatures_c": {"cpu": 40.5}, "frequencies_hz": {"cpu0": 1_500_000_000}},
        "state_after": {"temperatures_c": {"cpu": 45.0}, "frequencies_hz": {"cpu0": 1_500_000_000}},
        "sampler": {"cpu_ns": 5_000_000, "samples": 50, "overruns": 0}, "runtime": {"onnxruntime": "1.22"},
        "flags": [], "error": None, "traces": [],
    }
    return values | changes


def idle_header(**changes):
    """Header of a sound idle of one second from t = 5 s."""
    marks = [{"name": "window_start", "t_ns": 5 * S}, {"name": "window_end", "t_ns": 6 * S}]
    return header(kind="idle", cell_id=None, position=0, marks=marks, inferences=0, load_ns=None,
                  first_inference_ns=None, cpu_ns=None, memory={}, **changes)


def power_trace(at=0, **changes):
    """Header entry of a power trace whose arrays are `trace<at>_t`, `_raw` and `_span`."""
    values = {"rail": "VDD_IN", "quantity": "power_w", "kind": "sample", "clock": "agent:boot-1", "scale": 1e-6,
              "wrap_at": None, "interval_ns": None, "dropped": 0, "errors": [], "t": f"trace{at}_t",
              "raw": f"trace{at}_raw", "span": f"trace{at}_span"}
    return values | changes


def arrays(**changes):
    """Arrays of the sound window: latencies, warm-up, and one constant 2 W power trace that covers the window."""
    values = {
        "latency_ns": array("q", [1_000_000, 1_100_000, 1_200_000, 5_000_000]),
        "warmup_latency_ns": array("q", [2_000_000]),
        "trace0_t": array("q", [9 * S + at * S // 10 for at in range(31)]),
        "trace0_raw": array("q", [2_000_000] * 31),
        "trace0_span": array("q", [20_000] * 31),
    }
    return values | changes


def recording(**changes):
    """Bytes of a sound window with one power trace."""
    return pack_recording(header(traces=[power_trace()]) | changes, arrays())


def idle_recording(**changes):
    """Bytes of a sound idle with one power trace of 0.5 W."""
    content = {"trace0_t": array("q", [4 * S + at * S // 10 for at in range(31)]),
               "trace0_raw": array("q", [500_000] * 31), "trace0_span": array("q", [20_000] * 31)}
    return pack_recording(idle_header(traces=[power_trace()]) | changes, content)


def cell_states(store, campaign_id):
    """State and failure of a campaign's cells by cell id, in order."""
    rows = store._rows("SELECT cell_id, state, failure FROM campaign_cells WHERE campaign_id = ? ORDER BY position",
                       (campaign_id,))
    return {row["cell_id"]: (row["state"], row["failure"]) for row in rows}
