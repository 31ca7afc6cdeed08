"""What the agent adds to a latency: `python -m benchmarks.latency [--quick] [--json] [--pairs N]`.

Every measurement is a fresh process on the same model, input and threads, in the order A B B A. The ratios are of
medians, pair by pair; their interval is Student's t on the logarithms. The null control measures the bare loop against
itself: where even that is not known to ± 0.01, nothing finer can be claimed on this machine and the rows say so.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from agents.wire.plan import WindowPlan
from agents.wire.recording import unpack_recording
from agents.worker_order import order_for, order_to_json
from benchmarks.bench_model import write_inputs, write_model, write_sensors
from benchmarks.ratio import RatioInterval, in_turns, paired_ratio
from benchmarks.startup import bundle_row, help_rows
from benchmarks.table import Row, print_table
from lab.devices.bundle import build_bundle

OVERHEAD_LIMIT_RATIO = 1.03
NULL_LIMIT_RATIO = 0.01
NO_OP_LIMIT_NS = 2000
SAMPLE_RATE_HZ = 50.0
THREADS = 1
_MS = 1_000_000
_DEADLINE_NS = 60_000 * _MS

Measure = Callable[[], float]


class Bench:
    """The files and lengths that all measurements share."""

    def __init__(self, folder: Path, warmup_ns: int, length_ns: int) -> None:
        self.bundle = build_bundle(folder)
        self._folder = folder
        self._warmup_ns = warmup_ns
        self._length_ns = length_ns
        self._model, self._inputs, self._root = folder / "model.onnx", folder / "inputs.npz", folder / "root"
        write_model(self._model)
        write_inputs(self._inputs)
        write_sensors(self._root)
        self.sampler_account = ""

    def bare(self) -> float:
        """Median latency of the bare loop, ns."""
        numbers = [THREADS, self._warmup_ns, self._length_ns]
        line = [sys.executable, "-m", "benchmarks.bare_loop", str(self._model), str(self._inputs), *map(str, numbers)]
        return float(subprocess.run(line, check=True, stdout=subprocess.PIPE).stdout)

    def agent(self) -> float:
        """Median latency as the agent's worker reports it, ns."""
        return float(np.median(self._worker("onnx_runtime")[1]["latency_ns"]))

    def agent_sampled(self) -> float:
        """The same, with the sampler reading a board's sensors beside it."""
        with self._sampler():
            return self.agent()

    def no_op_ns(self) -> float:
        """What one inference that does nothing takes in the worker's window, everything included."""
        header, _ = self._worker("no_op")
        marks = {mark["name"]: mark["t_ns"] for mark in header["marks"]}
        return float((marks["window_end"] - marks["window_start"]) / header["inferences"])

    def _worker(self, runtime: str) -> tuple[dict, dict]:
        window = WindowPlan("cell", "0" * 64, None, runtime, THREADS, 64, self._warmup_ns, self._length_ns, 1)
        order_path, part = self._folder / "order.json", self._folder / "part"
        order = order_for(window, _DEADLINE_NS, self._model, self._inputs, part)
        order_path.write_text(json.dumps(order_to_json(order)))
        subprocess.run([sys.executable, "-E", str(self.bundle.path), "worker", str(order_path)], check=True)
        header, arrays = unpack_recording(part.read_bytes())
        if header["error"] or header["flags"]:
            raise RuntimeError(f"the worker could not measure: {header['error'] or header['flags']}")
        return header, arrays

    @contextmanager
    def _sampler(self) -> Iterator[None]:
        line = [sys.executable, "-m", "benchmarks.sampler_beside", str(self._root), str(SAMPLE_RATE_HZ)]
        with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            process.stdout.readline()
            yield
            self.sampler_account = process.communicate()[0].decode().strip()


def main() -> int:
    """Print the table; the exit code says whether all targets were met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="6 pairs and shorter windows: a look, not a claim")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--pairs", type=int, help="pairs per comparison; 30 unless quick")
    arguments = parser.parse_args()
    pairs = arguments.pairs or (6 if arguments.quick else 30)
    warmup_ns, length_ns = (100 * _MS, 300 * _MS) if arguments.quick else (300 * _MS, 1000 * _MS)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), warmup_ns, length_ns)
        rows = [*ratio_rows(bench, pairs), no_op_row(bench), *help_rows(), bundle_row(bench.bundle)]
    return print_table(f"What the agent adds to a latency ({pairs} pairs each)", rows, arguments.json)


def ratio_rows(bench: Bench, pairs: int) -> list[Row]:
    """The null control first, for it decides what the others may claim."""
    bench.bare()  # the first process of all reads the libraries from disk
    null, *sides = compare(bench.bare, bench.bare, pairs)
    is_resolvable = null.half_width_ratio <= NULL_LIMIT_RATIO
    rows = [Row("null control: bare ÷ bare", *map(_ms, sides), null.text(), f"half-width ≤ {NULL_LIMIT_RATIO}",
                is_resolvable, f"half-width {null.half_width_ratio:.4f}")]
    for what, ours, reference in (("agent p50 ÷ bare loop p50", bench.agent, bench.bare),
                                  ("sampler on ÷ off", bench.agent_sampled, bench.agent)):
        interval, *sides = compare(ours, reference, pairs)
        note = bench.sampler_account if reference == bench.agent else "same model, input, threads; a process each"
        rows.append(bound_row(what, interval, sides, is_resolvable, note))
    return rows


def compare(ours: Measure, reference: Measure, pairs: int) -> tuple[RatioInterval, float, float]:
    """The interval of the ratio, and the median of each side, ns."""
    times: dict[bool, list[float]] = {True: [], False: []}
    for is_ours in in_turns(pairs):
        times[is_ours].append((ours if is_ours else reference)())
    return paired_ratio(times[True], times[False]), *(statistics.median(times[side]) for side in (True, False))


def bound_row(what: str, interval: RatioInterval, sides: list[float], is_resolvable: bool, note: str) -> Row:
    """A row whose target is on the upper end of the interval; met only where the machine can tell."""
    met = is_resolvable and interval.high_ratio <= OVERHEAD_LIMIT_RATIO
    note = note if is_resolvable else f"not resolvable: the null control is wider than ± {NULL_LIMIT_RATIO}; {note}"
    return Row(what, *map(_ms, sides), interval.text(), f"upper bound ≤ {OVERHEAD_LIMIT_RATIO}", met, note)


def no_op_row(bench: Bench, repeats: int = 5) -> Row:
    """The worst of a few windows on the runtime that does nothing."""
    worst_ns = max(bench.no_op_ns() for _ in range(repeats))
    return Row("cost per inference in the worker's loop", f"{worst_ns:.0f} ns", "-", "-", f"≤ {NO_OP_LIMIT_NS} ns",
               worst_ns <= NO_OP_LIMIT_NS, f"no_op runtime, worst of {repeats} windows")


def _ms(time_ns: float) -> str:
    return f"{time_ns / _MS:.4f} ms"


if __name__ == "__main__":
    sys.exit(main())
