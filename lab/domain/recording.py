"""Raw recordings of one window, as they came from the device; nothing here is derived."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .flags import Flag

Int64Array: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A named instant in the agent's monotonic clock."""

    name: str
    t_ns: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Trace:
    """One channel over one window: raw integers as read, SI only after `raw * scale`.

    `t_ns` (n,) is the midpoint of each read, `read_span_ns` (n,) how long the read took. `errors` lists
    (index, errno) of reads that failed; their raw value is meaningless. `wrap_at` is where a counter wraps.
    """

    rail: str
    quantity: Literal["power_w", "energy_j", "current_a", "voltage_v", "temperature_c", "frequency_hz"]
    kind: Literal["sample", "interval_mean", "counter"]
    clock: str
    t_ns: Int64Array
    raw: Int64Array
    read_span_ns: Int64Array
    scale: float
    wrap_at: int | None = None
    interval_ns: int | None = None
    errors: tuple[tuple[int, int], ...] = ()
    dropped: int = 0


@dataclass(frozen=True, kw_only=True)
class ClockSync:
    """Agent clock against host clock: `host = agent + offset_ns`, by the exchange of least round trip."""

    offset_ns: int
    uncertainty_ns: int
    drift_ppm: float | None
    exchanges: int


@dataclass(frozen=True, kw_only=True)
class HostState:
    """Temperatures and clocks at one instant, by sensor name; empty where the device has none."""

    temperatures_c: tuple[tuple[str, float], ...] = ()
    frequencies_hz: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class Window:
    """One window as recorded; `kind` idle has no inferences. Key: (cell, block, attempt, position).

    `artifact_sha256` is what the device says it measured; None for an idle, and in recordings of older agents.
    """

    kind: Literal["window", "idle"]
    cell_id: str | None
    block_id: str
    attempt: int
    position: int
    boot_id: str
    started_utc: str
    marks: tuple[Mark, ...]
    inferences: int
    latency_ns: Int64Array
    warmup_latency_ns: Int64Array
    deadline_misses: int | None
    load_ns: int | None
    first_inference_ns: int | None
    cpu_ns: int | None
    memory_bytes: tuple[tuple[str, int], ...]
    state_before: HostState
    state_after: HostState
    traces: tuple[Trace, ...]
    sampler_cpu_ns: int | None
    flags: tuple[Flag, ...]
    error: str | None
    sha256: str
    runtime_facts: tuple[tuple[str, str], ...] = ()
    artifact_sha256: str | None = None

    def mark_ns(self, name: str) -> int | None:
        """The instant of a mark, or None if the window never reached it."""
        return next((mark.t_ns for mark in self.marks if mark.name == name), None)


@dataclass(frozen=True, kw_only=True, eq=False)
class BlockWindows:
    """What one block holds for one cell: its window and the idles of that block on the same device."""

    block_id: str
    number: int
    window: Window
    idles: tuple[Window, ...] = ()
