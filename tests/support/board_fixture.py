"""An invented campaign for the board: every figure below is an example, none was measured.

Three devices: one without a power sensor, one whose power is simulated, one that measures its board's input. Among
the techniques: a clear win, one that cannot be told from the baseline, a loss, a flagged result, a failure.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace

from lab.domain.artifact import Artifact, CompressedModel
from lab.domain.block import Cell, cell_id_of
from lab.domain.campaign import PROTOCOLS, Campaign, Load, Settings, StepSpec, Technique
from lab.domain.device import ChannelFacts, Device, DeviceFacts, DeviceProfile, Origin, Rail, Scope
from lab.domain.flags import FLAG_CODES, Flag, Severity, verdict_of
from lab.domain.result import Comparison, Interval, Quantity, Result, ResultRow

CAMPAIGN = "example-figures"
WORKLOAD_SHA256 = hashlib.sha256(b"example workload").hexdigest()
SETTINGS = "onnx_runtime, 1 thread, batch 1, back to back"
HOSTILE_NAME = "<img src=x onerror=\"window.pwned=1\">\x1b[31mred\x1b[0m|*bold*"

# technique: (accuracy, bytes, parameters, multiply-accumulates)
TECHNIQUES = {
    "baseline": (0.9722, 149_874, 36_938, 2_148_608),
    "int8 dynamic": (0.9722, 46_120, 36_938, 2_148_608),
    "int8 static": (0.9694, 44_802, 36_938, 2_148_608),
    "float16": (0.9722, 76_410, 36_938, 2_148_608),
    "prune 50 %": (0.9639, 43_966, 10_106, 590_464),
    "prune 50 %, distill, int8": (0.9667, 17_204, 10_106, 590_464),
}

# device: (baseline latency ns, baseline energy J or None, scope, origin, ratio of each further technique)
DEVICES = {
    "workstation": (118_400.0, None, None, None, (0.913, 0.871, 1.42, 0.498, 0.447)),
    "virtual-pi4": (1_284_000.0, 5.31e-3, Scope.MODULE, Origin.SIMULATED, (0.781, 0.642, 1.013, 0.467, 0.389)),
    "orin-nano": (412_700.0, 3.874e-3, Scope.BOARD_DC, Origin.MEASURED, (0.991, 0.702, 0.664, 0.521, 0.418)),
}


def flag(code, severity=Severity.INFO, detail=""):
    """A flag with the table's own words unless a detail is given."""
    return Flag(code=code, severity=severity, detail=detail or FLAG_CODES.get(code, code))


def cell_id(technique, device):
    return hashlib.sha256(f"{technique}/{device}".encode()).hexdigest()


def interval(value, half_ratio=0.018):
    return Interval(value=value, low=value * (1 - half_ratio), high=value * (1 + half_ratio))


def quantity(value, relative=0.012):
    return Quantity(value=value, standard_uncertainty=value * relative, coverage_factor=2.2, degrees_of_freedom=11.0)


def result(technique="baseline", device="orin-nano", *, latency_ns=412_700.0, energy_j=3.874e-3,
           scope=Scope.BOARD_DC, origin=Origin.MEASURED, flags=(), n_blocks=6, **fields):
    """A result whose figures follow from latency and energy; `fields` overrides."""
    flags = tuple(flags)
    values = {
        "cell_id": cell_id(technique, device), "n_blocks": n_blocks, "n_inferences": int(6e10 / latency_ns),
        "load": Load(), "latency_p50_ns": interval(latency_ns), "latency_p90_ns": interval(latency_ns * 1.06),
        "latency_p95_ns": interval(latency_ns * 1.11), "latency_p99_ns": interval(latency_ns * 1.31, 0.05),
        "latency_max_ns": int(latency_ns * 3.2), "throughput_hz": 1e9 / latency_ns, "load_ns": 21_400_000,
        "first_inference_ns": int(latency_ns * 4.1), "cpu_per_inference_ns": latency_ns * 0.99,
        "memory_kind": "rss", "memory_peak_bytes": 61_865_984, "memory_delta_bytes": 2_412_544,
        "deadline_misses": None, "idle_power_w": None if energy_j is None else 2.71,
        "mean_power_w": None if energy_j is None else energy_j / latency_ns * 1e9,
        "energy_gross_j": None if energy_j is None else quantity(energy_j),
        "energy_net_j": None if energy_j is None else quantity(energy_j * 0.48, 0.03),
        "power_scope": scope if energy_j is not None else None,
        "power_origin": origin if energy_j is not None else None,
        "temperature_max_c": 51.5, "flags": flags, "verdict": verdict_of(flags),
    }
    return Result(**(values | fields))


def comparison(technique, device, metric, ratio, *, half_ratio=0.021, **fields):
    """A comparison with an interval of ± half_ratio, answered from it."""
    low, high = ratio * (1 - half_ratio), ratio * (1 + half_ratio)
    answer = "better" if high < 1 else "worse" if low > 1 else "not distinguishable"
    values = {"metric": metric, "cell_id": cell_id(technique, device), "baseline_cell_id": cell_id("baseline", device),
              "ratio": ratio, "low_ratio": low, "high_ratio": high, "n_blocks": 6, "answer": answer}
    return Comparison(**(values | fields))


def result_row(technique="baseline", device="orin-nano", **fields):
    """One row; figures of the artifact come from `TECHNIQUES`, everything can be overridden."""
    accuracy, size, parameters, macs = TECHNIQUES.get(technique, (0.95, 50_000, 20_000, 1_000_000))
    values = {
        "campaign": CAMPAIGN, "technique": technique, "device": device, "profile": f"{device}-profile", "seed": 0,
        "settings": SETTINGS, "preset": "standard",
        "artifact_sha256": hashlib.sha256(technique.encode()).hexdigest(), "size_bytes": size,
        "parameters": parameters, "macs": macs, "accuracy_ratio": accuracy, "metric": "accuracy",
        "compress_ns": 1_200_000_000, "result": result(technique, device), "latency_ratio": None,
        "energy_ratio": None, "state": "done", "failure": None, "measured_utc": "2026-03-02T09:14:05Z",
    }
    return ResultRow(**(values | fields))


def example_rows():
    """The whole example campaign, device by device, the baseline first."""
    return tuple(_example_row(technique, place, device) for device in DEVICES
                 for place, technique in enumerate(TECHNIQUES))


def _example_row(technique, place, device):
    latency_ns, energy_j, scope, origin, latency_ratios = DEVICES[device]
    if technique == "float16" and device == "virtual-pi4":
        return result_row(technique, device, result=None, state="failed", measured_utc=None,
                          failure="upload float16 to virtual-pi4: ConnectionLost: the link ended after 31 of 75 KiB; "
                                  "run the campaign again to go on from there")
    ratio = latency_ratios[place - 1] if place else 1.0
    energy_ratio = ratio * 1.04
    flags = _example_flags(technique, device)
    measured = result(technique, device, latency_ns=latency_ns * ratio, scope=scope, origin=origin, flags=flags,
                      energy_j=None if energy_j is None else energy_j * energy_ratio)
    compared = {}
    if place:
        compared["latency_ratio"] = comparison(technique, device, "latency_p50_ns", ratio)
    if place and energy_j is not None:
        compared["energy_ratio"] = comparison(technique, device, "energy_gross_j", energy_ratio, half_ratio=0.05)
    return result_row(technique, device, result=measured, **compared)


def _example_flags(technique, device):
    flags = {"workstation": [flag("no_power_source", detail="no RAPL counter and no hwmon power input was found")],
             "virtual-pi4": [flag("simulated_power")], "orin-nano": []}[device]
    if (technique, device) == ("int8 static", "orin-nano"):
        flags.append(flag("throttled", Severity.DEGRADED, "the clock fell from 1.51 to 1.19 GHz in block 3"))
    if (technique, device) == ("float16", "workstation"):
        flags.append(flag("output_not_finite", Severity.VOID, "2 of 10 outputs hold NaN"))
    return flags


def facts(**fields):
    values = {
        "agent_sha256": "ab" * 32, "boot_id": "5d1f", "machine": "aarch64", "system": "Linux",
        "kernel": "5.15.148-tegra", "python": "3.10.12", "cpu_model": "Cortex-A78AE", "cpu_count": 6,
        "isa": ("asimd", "asimddp", "fphp"), "memory_bytes": 8_127_234_048,
        "model": "NVIDIA Jetson Orin Nano Developer Kit", "runtimes": (("onnxruntime", "1.19.2"), ("numpy", "2.0.2")),
        "channels": (ChannelFacts(probe="hwmon_power", rail="VDD_IN", quantity="power_w", kind="sample"),
                     ChannelFacts(probe="thermal", rail="cpu-thermal", quantity="temperature_c", kind="sample")),
        "unavailable": (("rapl", "/sys/class/powercap is not there"),),
    }
    return DeviceFacts(**(values | fields))


def example_devices():
    """Registered devices with the facts known about each, or None."""
    return {
        Device(name="workstation", url="local", profile="workstation-profile"): facts(
            machine="x86_64", cpu_model="AMD EPYC 9R14", cpu_count=2, kernel="6.12.0", python="3.11.2",
            isa=("avx2", "avx512f", "avx512_vnni"), model=None,
            channels=(ChannelFacts(probe="memory", rail="memory", quantity="frequency_hz", kind="sample"),),
            unavailable=(("rapl", "permission denied: /sys/class/powercap/intel-rapl:0/energy_uj is readable by root"),
                         ("thermal", "/sys/class/thermal holds no zone"))),
        Device(name="virtual-pi4", url="virtual:virtual-pi4", profile="virtual-pi4-profile"): facts(
            machine="x86_64", model="Raspberry Pi 4 Model B (virtual)"),
        Device(name="orin-nano", url="ssh://lab@orin-nano.example", profile="orin-nano-profile"): facts(),
        Device(name="bench-board", url="ssh://lab@10.0.0.7:2222", profile="linux-sbc"): None,
    }


def profile(name):
    """A profile of any name; the virtual one is simulated."""
    is_virtual = name.startswith("virtual")
    return DeviceProfile(
        name=name, title=name.replace("-", " "), transport="virtual" if is_virtual else "ssh",
        origin=Origin.SIMULATED if is_virtual else Origin.MEASURED, verified="virtual" if is_virtual else "no",
        rails=(Rail(name="VDD_IN", scope=Scope.BOARD_DC, source="ina3221", headline=True),
               Rail(name="VDD_CPU*", scope=Scope.RAIL, source="ina3221")),
        sources=("an example, not a real profile",))


def fill_store(store, rows=None, devices=None, name=CAMPAIGN, state="done"):
    """Write rows into a real store as one campaign, with the devices; returns the campaign's id."""
    rows = example_rows() if rows is None else tuple(rows)
    for device, found in (example_devices() if devices is None else devices).items():
        store.save_device(device)
        if found is not None:
            store.save_facts(device.name, found)
    techniques = {row.technique: _technique(row.technique) for row in rows}
    cells = [_cell(row, techniques[row.technique]) for row in rows]
    campaign_id = hashlib.sha256(name.encode()).hexdigest()
    store.save_campaign(campaign_id, Campaign(
        name=name, owner="example", workload="digits", techniques=tuple(techniques.values()), seeds=(0,),
        devices=tuple(dict.fromkeys(row.device for row in rows)), settings=(Settings(),),
        protocol=PROTOCOLS["standard"]), WORKLOAD_SHA256, "name: example\n")
    store.save_cells(campaign_id, cells)
    baselines = {cell.device: cell.id for cell in cells if cell.technique.is_baseline}
    for row, cell in zip(rows, cells, strict=True):
        _fill_cell(store, campaign_id, row, cell, baselines.get(row.device))
    store.set_campaign_state(campaign_id, state)
    return campaign_id


def _technique(name):
    steps = () if name == "baseline" else (StepSpec(name="example", params=(("name", name),)),)
    return Technique(name=name, steps=steps)


def _cell(row, technique):
    identity = {"workload_sha256": WORKLOAD_SHA256, "technique": technique, "seed": row.seed, "device": row.device,
                "profile_sha256": hashlib.sha256(row.profile.encode()).hexdigest(), "settings": Settings(),
                "protocol": PROTOCOLS[row.preset]}
    return Cell(id=cell_id_of(**identity), workload="digits", **identity)


def _fill_cell(store, campaign_id, row, cell, baseline_cell_id):
    artifact = Artifact(sha256=row.artifact_sha256, size_bytes=row.size_bytes, format="onnx", opset=17, ir_version=8,
                        parent_sha256=None, step=None, parameters=row.parameters, macs=row.macs,
                        accuracy_ratio=row.accuracy_ratio, metric=row.metric, compress_ns=row.compress_ns)
    store.save_compressed(WORKLOAD_SHA256, CompressedModel(technique=row.technique, seed=row.seed, artifact=artifact,
                                                           outcomes=()), cell.technique)
    store.set_cell_artifact(cell.id, artifact.sha256)
    if row.result is not None:
        store.save_result(replace(row.result, cell_id=cell.id))
    compared = [each for each in (row.latency_ratio, row.energy_ratio) if each is not None]
    store.save_comparisons(campaign_id, [replace(each, cell_id=cell.id, baseline_cell_id=baseline_cell_id)
                                         for each in compared])
    if row.failure is not None:
        store.record_failure(campaign_id, cell.id, row.device, "upload", "ConnectionLost", row.failure)
    else:
        store.set_cell_state(campaign_id, cell.id, row.state)


def hostile_rows():
    """Names that try to be markup, a terminal sequence, or very long."""
    long_name = "very-long-technique-name-" * 30
    return (result_row("baseline", HOSTILE_NAME),
            replace(result_row("baseline", HOSTILE_NAME), technique="<b>bold</b> $x^2$ :red[red]"),
            replace(result_row("baseline", HOSTILE_NAME), technique=long_name, result=None, state="failed",
                    failure="<script>window.pwned=1</script>\x1b]0;title\x07" + "x" * 5000))
