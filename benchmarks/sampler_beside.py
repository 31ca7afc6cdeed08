"""The agent's sampler in a process of its own, as the block process runs it beside a worker.

`python -m benchmarks.sampler_beside ROOT RATE_HZ` says `ready` and samples until its input ends; then it prints its
account as JSON.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from agents.probe_set import open_probes
from agents.probes import PROBES
from agents.sampler import Sampler


def main(root: str, rate_hz: float) -> None:
    """Sample all probes under `root`."""
    opened, _ = open_probes(tuple(PROBES), Path(root))
    sampler = Sampler(opened, rate_hz)
    sampler.start()
    print("ready", flush=True)
    sys.stdin.read()
    samples = sampler.stop()
    print(json.dumps({**samples.account(), "channels": len(samples.series)}))


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
