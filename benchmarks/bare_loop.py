"""The peer of the agent's worker: the shortest honest loop over onnxruntime's I/O binding, in its own process.

`python -m benchmarks.bare_loop MODEL INPUTS.npz THREADS WARMUP_NS LENGTH_NS` prints the median latency in ns.
"""

from __future__ import annotations

import sys
import time

import numpy as np
import onnxruntime


def main(model: str, inputs: str, threads: int, warmup_ns: int, length_ns: int) -> None:
    """Load, warm up, time, print."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    with np.load(inputs, allow_pickle=False) as archive:
        values = {name: onnxruntime.OrtValue.ortvalue_from_numpy(archive[name]) for name in archive.files}
    for name, value in values.items():
        binding.bind_ortvalue_input(name, value)
    for output in session.get_outputs():
        binding.bind_output(output.name, "cpu")
    end = time.perf_counter_ns() + warmup_ns
    while time.perf_counter_ns() < end:
        session.run_with_iobinding(binding)
    latency_ns = []
    end = time.perf_counter_ns() + length_ns
    while True:
        before = time.perf_counter_ns()
        session.run_with_iobinding(binding)
        after = time.perf_counter_ns()
        latency_ns.append(after - before)
        if after >= end:
            break
    print(int(np.median(latency_ns)))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6]))
