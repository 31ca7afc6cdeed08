"""One thread that reads all probes at a rate and keeps account of what that cost.

Sample k is due at start + k·period, moved by up to half a period either way: readers that poll in step with a
sensor's own refresh see the same phase of it for ever.
"""

from __future__ import annotations

import errno
import random
import threading
import time
from array import array
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

from agents.probe_set import HANGING_S, OpenProbe
from agents.probes.base import Channel, Reading, raw_bounds

MAX_SAMPLES = 2_000_000
"""Per channel; later ones are counted as dropped."""

MISSED = -1
"""What stands in a raw array where a read failed; its index is in `errors`."""


class Series:
    """Everything read from one channel; `t` is the midpoint of each read and `span` how long it took, in ns."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self._lowest, self._highest = raw_bounds(channel)
        self.t = array("q")
        self.raw = array("q")
        self.span = array("q")
        self.errors: List[Tuple[int, int]] = []
        self.dropped = 0

    def add(self, reading: Reading) -> None:
        """Keep one reading; a value this channel cannot mean counts as a failed read."""
        if len(self.t) >= MAX_SAMPLES:
            self.dropped += 1
            return
        raw, error = reading.raw, reading.errno
        if raw is not None and not self._lowest <= raw <= self._highest:
            raw, error = None, errno.ERANGE
        if raw is None:
            self.errors.append((len(self.t), error))
        self.t.append((reading.t_before_ns + reading.t_after_ns) // 2)
        self.raw.append(MISSED if raw is None else raw)
        self.span.append(reading.t_after_ns - reading.t_before_ns)

    def copy(self) -> Series:
        """The whole readings so far, while another thread may be adding one."""
        copied = Series(self.channel)
        count = len(self.span)  # what `add` appends to last
        copied.t, copied.raw, copied.span = self.t[:count], self.raw[:count], self.span[:count]
        copied.errors = [(index, error) for index, error in tuple(self.errors) if index < count]
        copied.dropped = self.dropped
        return copied


class Samples(NamedTuple):
    """What a sampler brought back; `cpu_ns` is the processor time of its own thread, None while that goes on.

    `hanging` names the probe whose read did not return.
    """

    series: Tuple[Series, ...]
    cpu_ns: Optional[int]
    samples: int
    overruns: int
    is_complete: bool
    hanging: Optional[str] = None

    def account(self) -> Dict[str, Optional[int]]:
        """The recording header's `sampler`."""
        return {"cpu_ns": self.cpu_ns, "samples": self.samples, "overruns": self.overruns}

    def traces(self, clock_name: str) -> Tuple[List[Dict[str, Any]], "Dict[str, array[int]]"]:
        """The recording header's `traces` and the arrays they name."""
        listing: List[Dict[str, Any]] = []
        arrays: "Dict[str, array[int]]" = {}
        for index, one in enumerate(self.series):
            names = {"t": f"trace{index}_t", "raw": f"trace{index}_raw", "span": f"trace{index}_span"}
            arrays.update({names["t"]: one.t, names["raw"]: one.raw, names["span"]: one.span})
            rail, quantity, kind, scale, wrap_at = one.channel
            listing.append({"rail": rail, "quantity": quantity, "kind": kind, "clock": clock_name, "scale": scale,
                            "wrap_at": wrap_at, "interval_ns": None, "dropped": one.dropped,
                            "errors": one.errors, **names})
        return listing, arrays


class Sampler:
    """Reads `probes` from `start` to `stop`; `wait(seconds)` is how it sleeps, true when it should end.

    Neither the first sample nor the last is waited for beyond `hanging_s`.
    """

    def __init__(self, probes: Sequence[OpenProbe], rate_hz: float, *, seed: int = 0,
                 clock: Callable[[], int] = time.monotonic_ns, hanging_s: float = HANGING_S) -> None:
        self._probes = tuple(probes)
        self._period_ns = int(1e9 / rate_hz)
        self._random = random.Random(seed)
        self._clock = clock
        self._hanging_s = hanging_s
        self._reading: Optional[str] = None
        self._begun = threading.Event()
        self._ending = threading.Event()
        self._series = tuple(tuple(Series(channel) for channel in probe.channels) for probe in self._probes)
        self._cpu_ns = self._samples = self.overruns = 0
        self._is_complete = False
        self._thread = threading.Thread(target=self._work, name="sampler", daemon=True)

    def start(self) -> None:
        """Begin; returns with the first sample taken, so that it lies before whatever is measured next."""
        self._thread.start()
        self._begun.wait(self._hanging_s)

    def stop(self) -> Samples:
        """End after one last sample; what was read. A read that hangs is left behind, its thread with it."""
        self._ending.set()
        self._thread.join(self._hanging_s)
        series = tuple(one for group in self._series for one in group)
        if self._thread.is_alive():
            copied = tuple(one.copy() for one in series)
            return Samples(copied, None, self._samples, self.overruns, False, self._reading)
        return Samples(series, self._cpu_ns, self._samples, self.overruns, self._is_complete)

    def _work(self) -> None:
        began_ns = time.thread_time_ns()
        try:
            if self._probes:
                self.loop(self._ending.wait)
            self._is_complete = True
        finally:
            self._begun.set()
            self._cpu_ns = time.thread_time_ns() - began_ns

    def loop(self, wait: Callable[[float], bool]) -> None:
        """Sample until `wait` says so; slots that had passed before their turn are skipped and counted."""
        start_ns = self._clock()
        self._read_all()
        self._begun.set()
        slot = 1
        while True:
            due_ns = start_ns + int((slot + self._random.random() - 0.5) * self._period_ns)
            if wait(max(0, due_ns - self._clock()) / 1e9):
                break
            self._read_all()
            current = (self._clock() - start_ns + self._period_ns // 2) // self._period_ns
            following = max(slot + 1, current)
            self.overruns += following - slot - 1
            slot = following
        self._read_all()

    def _read_all(self) -> None:
        self._samples += 1
        for opened, group in zip(self._probes, self._series):
            for reading, series in zip(self._read(opened), group):
                series.add(reading)

    def _read(self, opened: OpenProbe) -> Sequence[Reading]:
        before_ns = self._clock()
        self._reading = opened.name
        try:
            return opened.probe.read()
        except OSError as error:  # a sensor that went away; the others go on
            missed = Reading(before_ns, self._clock(), None, error.errno or 0)
            return [missed] * len(opened.channels)
