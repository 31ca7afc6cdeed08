"""What the latency benchmark runs: a model of about one millisecond, its input, and sensors to sample."""

from __future__ import annotations

from pathlib import Path

import numpy as np

ROWS, WIDTH, LAYERS = 64, 512, 8
OPSET, IR_VERSION = 13, 7


def write_model(path: Path) -> None:
    """Eight dense layers with ReLU: enough arithmetic for about a millisecond on one core, and no allocation."""
    from onnx import TensorProto, helper, numpy_helper

    generator = np.random.default_rng(0)
    nodes, weights = [], []
    for layer in range(LAYERS):
        value = (generator.standard_normal((WIDTH, WIDTH)) / WIDTH**0.5).astype(np.float32)
        weights.append(numpy_helper.from_array(value, f"w{layer}"))
        nodes.append(helper.make_node("MatMul", ["x" if layer == 0 else f"h{layer}", f"w{layer}"], [f"m{layer}"]))
        nodes.append(helper.make_node("Relu", [f"m{layer}"], ["y" if layer == LAYERS - 1 else f"h{layer + 1}"]))
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [ROWS, WIDTH]) for name in ("x", "y")]
    graph = helper.make_graph(nodes, "dense", ends[:1], ends[1:], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    path.write_bytes(model.SerializeToString())


def write_inputs(path: Path) -> None:
    """An .npz with the model's input."""
    np.savez(path, x=np.random.default_rng(1).standard_normal((ROWS, WIDTH)).astype(np.float32))


def write_sensors(root: Path) -> None:
    """A captured tree of a small board: one energy counter, one power sensor, two temperatures, four clocks."""
    files = {
        "sys/class/powercap/intel-rapl:0/name": "package-0", "sys/class/powercap/intel-rapl:0/energy_uj": "123456789",
        "sys/class/powercap/intel-rapl:0/max_energy_range_uj": "262143328850",
        "sys/class/hwmon/hwmon0/name": "ina226", "sys/class/hwmon/hwmon0/power1_input": "5123000",
    }
    for zone in range(2):
        files[f"sys/class/thermal/thermal_zone{zone}/type"] = f"zone-{zone}"
        files[f"sys/class/thermal/thermal_zone{zone}/temp"] = "45123"
    for policy in range(4):
        folder = f"sys/devices/system/cpu/cpufreq/policy{policy}"
        files |= {f"{folder}/scaling_cur_freq": "1800000", f"{folder}/related_cpus": str(policy),
                  f"{folder}/affected_cpus": str(policy), f"{folder}/scaling_max_freq": "1800000"}
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
