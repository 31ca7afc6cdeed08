"""Result rows as the store gives them."""

import math

from lab.domain.device import Origin, Scope
from lab.domain.flags import Flag, Severity, Verdict
from lab.domain.result import Contribution, Quantity, ResultRow
from tests.support import samples

BASELINE_ID, CELL_ID = samples.cell().id, samples.cell(samples.INT8).id
ENERGY = Quantity(value=0.1 + 0.2, standard_uncertainty=0.01, coverage_factor=2.5, degrees_of_freedom=math.inf,
                  budget=(Contribution(name="blocks", kind="A", standard_uncertainty=0.01, degrees_of_freedom=5.0),
                          Contribution(name="gain VDD_IN", kind="B", standard_uncertainty=0.001,
                                       degrees_of_freedom=math.inf)))
QUICK = Flag(code="quick_look", severity=Severity.DEGRADED, detail="windows of 0.5 s", touched_ns=7)


def row(**changes):
    """A measured row of a technique with simulated power and both comparisons."""
    result = changes.pop("result", "made")
    if result == "made":
        result = samples.result(
            CELL_ID, energy_gross_j=ENERGY, mean_power_w=2.0, idle_power_w=0.5, power_scope=Scope.MODULE,
            power_origin=Origin.SIMULATED, memory_kind="rss", memory_peak_bytes=70_000_000, flags=(QUICK,),
            verdict=Verdict.DEGRADED)
    values = {
        "campaign": "first", "technique": "int8", "device": "board", "profile": "test-board", "seed": 0,
        "settings": "onnx_runtime, 1 thread, batch 1, back to back", "preset": "quick", "artifact_sha256": "a" * 64,
        "size_bytes": 12_345, "parameters": 1_000, "macs": 2_000_000, "accuracy_ratio": 0.975, "metric": "accuracy",
        "compress_ns": 5, "result": result, "latency_ratio": samples.comparison(CELL_ID, BASELINE_ID),
        "energy_ratio": samples.comparison(CELL_ID, BASELINE_ID, metric="energy_gross_j", ratio=0.8, low_ratio=None,
                                           high_ratio=None, n_blocks=2, answer="unknown"),
        "state": "done", "failure": None, "measured_utc": "2030-01-31T12:00:00Z",
    }
    return ResultRow(**(values | changes))


def failed_row():
    """A row of a cell that could not be compressed."""
    return row(result=None, latency_ratio=None, energy_ratio=None, artifact_sha256=None, size_bytes=None,
               parameters=None, macs=None, accuracy_ratio=None, metric=None, compress_ns=None, state="failed",
               failure="step 1: no such layer", measured_utc=None)
