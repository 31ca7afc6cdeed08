"""A device whose windows sleep: it answers like an agent and costs no processor, so that what is timed is the queue."""

from __future__ import annotations

import random
import threading
import time
from array import array
from itertools import accumulate
from typing import Any

from agents.wire.messages import Message
from agents.wire.plan import BlockPlan, WindowPlan, plan_from_json
from agents.wire.recording import pack_recording
from lab.transports.scripted import ScriptedTransport
from tests.support import samples
from tests.support.scripted_agent import ScriptedAgent, result

INFERENCES = 20
_LATENCY_NS = 1_000_000
_MARKS = ("worker_start", "load_start", "load_end", "first_end", "warmup_end", "window_start", "window_end")


class SleepingBoard(ScriptedAgent):
    """A block takes as long as its plan says, without a worker's start; `held_s` are the ends of every lease.

    `spread_ratio` is how far a window's latency may be from the others': the stopping rule wants blocks for it.
    """

    def __init__(self, seed: int, spread_ratio: float = 0.0) -> None:
        super().__init__()
        self.held_s: list[tuple[float, float]] = []
        self._chance = random.Random(seed)
        self._spread_ratio = spread_ratio
        self._since_s = 0.0
        self._blocks: dict[str, float] = {}
        self._cancelled = threading.Event()

    def transport(self) -> ScriptedTransport:
        """One line to the board; what it holds survives the line's end."""
        return ScriptedTransport(self)

    def gaps_s(self) -> list[float]:
        """Seconds between a lease given back and the next one taken."""
        return [begun_s - ended_s for (_, ended_s), (begun_s, _) in
                zip(self.held_s, self.held_s[1:], strict=False)]

    def _lease_acquire(self, message: Message, header: dict[str, Any]) -> bytes:
        self._since_s = time.monotonic()
        return super()._lease_acquire(message, header)

    def _lease_release(self, message: Message, header: dict[str, Any]) -> bytes:
        self.held_s.append((self._since_s, time.monotonic()))
        return super()._lease_release(message, header)

    def _block_start(self, message: Message, header: dict[str, Any]) -> bytes:
        plan = plan_from_json(header["plan"])
        length_ns = 2 * plan.idle_ns + sum(window.warmup_ns + window.length_ns for window in plan.windows)
        self._blocks[plan.block_id] = time.monotonic() + length_ns / 1e9
        self._record(plan)
        return super()._block_start(message, header)

    def _block_wait(self, message: Message, header: dict[str, Any]) -> bytes:
        ends_s = self._blocks.get(header["block_id"])
        if ends_s is None:
            return result(message, state="unknown", position=0, windows_done=0, error=None)
        time.sleep(max(0.0, min(ends_s - time.monotonic(), header["timeout_s"])))
        state = "running" if time.monotonic() < ends_s else "done"
        return result(message, state=state, position=1, windows_done=0, error=None)

    def _record(self, plan: BlockPlan) -> None:
        lengths_ns = [plan.idle_ns, *(window.warmup_ns + window.length_ns for window in plan.windows), plan.idle_ns]
        starts_ns = list(accumulate(lengths_ns, initial=time.monotonic_ns()))
        for position, window in enumerate([None, *plan.windows, None]):
            data = self._recording(plan, window, position, starts_ns[position], starts_ns[position + 1])
            self.add_recording(data, block_id=plan.block_id, cell_id=window and window.cell_id,
                               attempt=plan.attempt, position=position)

    def _recording(self, plan: BlockPlan, window: WindowPlan | None, position: int, start_ns: int, end_ns: int
                   ) -> bytes:
        place = {"block_id": plan.block_id, "attempt": plan.attempt, "position": position}
        if window is None:
            header = samples.idle_header() | place
            header["marks"] = [{"name": "window_start", "t_ns": start_ns}, {"name": "window_end", "t_ns": end_ns}]
            return pack_recording(header, {})
        measured_ns = start_ns + window.warmup_ns
        times = [start_ns + step for step in range(5)] + [measured_ns, end_ns]
        header = samples.header(cell_id=window.cell_id, artifact_sha256=window.artifact_sha256, inferences=INFERENCES)
        header["marks"] = [{"name": name, "t_ns": t_ns} for name, t_ns in zip(_MARKS, times, strict=True)]
        factor = 1 + self._spread_ratio * self._chance.uniform(-1, 1)
        latency_ns = [round(_LATENCY_NS * factor * self._chance.uniform(0.99, 1.01)) for _ in range(INFERENCES)]
        return pack_recording(header | place, {"latency_ns": array("q", latency_ns),
                                               "warmup_latency_ns": array("q", latency_ns[:2])})
