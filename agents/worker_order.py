"""What a block process tells a worker, and the check on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, NamedTuple, Optional

from agents.wire.plan import LoadPlan, WindowPlan


class WorkerOrder(NamedTuple):
    """One window to measure: files are paths here, not hashes; `part` is where the worker leaves what it saw.

    `deadline_ns` counts from the worker's start: the worker stops by itself a little earlier.
    """

    artifact: Path
    inputs: Optional[Path]
    part: Path
    runtime: str
    threads: int
    batch: int
    warmup_ns: int
    length_ns: int
    inferences_min: int
    deadline_ns: int
    load: LoadPlan


def order_for(window: WindowPlan, deadline_ns: int, artifact: Path, inputs: Optional[Path],
              part: Path) -> WorkerOrder:
    """The order for one planned window."""
    return WorkerOrder(artifact, inputs, part, window.runtime, window.threads, window.batch, window.warmup_ns,
                       window.length_ns, window.inferences_min, deadline_ns, window.load)


def order_to_json(order: WorkerOrder) -> Dict[str, Any]:
    """Plain JSON of an order."""
    values = order._asdict()
    for name in ("artifact", "inputs", "part"):
        values[name] = None if values[name] is None else str(values[name])
    values["load"] = {"kind": order.load.kind, "rate_hz": order.load.rate_hz, "deadline_ns": order.load.deadline_ns}
    return values


def order_from_json(data: Dict[str, Any]) -> WorkerOrder:
    """An order as written by `order_to_json`; raises KeyError or TypeError on anything else."""
    values = dict(data)
    for name in ("artifact", "inputs", "part"):
        values[name] = None if values[name] is None else Path(values[name])
    values["load"] = LoadPlan(**values["load"])
    return WorkerOrder(**values)
