"""What a probe is: it finds channels under a root folder, and reads raw integers from them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Callable, Dict, NamedTuple, Optional, Protocol, Tuple, Union

Clock = Callable[[], int]
"""Monotonic nanoseconds; an argument everywhere, so that tests can play it."""


class Channel(NamedTuple):
    """One quantity a probe can read: SI value = raw integer × `scale`.

    `quantity` is power_w, energy_j, current_a, voltage_v, temperature_c or frequency_hz; `kind` is sample,
    interval_mean or counter; a counter wraps to 0 at `wrap_at` (raw units).
    """

    rail: str
    quantity: str
    kind: str
    scale: float
    wrap_at: Optional[int] = None


_RAW_MIN, _RAW_MAX = -(2**63), 2**63 - 1
_PLAUSIBLE: Dict[str, Tuple[float, float]] = {"temperature_c": (-100.0, 300.0), "frequency_hz": (0.0, 1e12)}
"""SI bounds beyond which a sensor talks nonsense; a frequency of exactly 0 does too."""


def raw_bounds(channel: Channel) -> Tuple[int, int]:
    """Smallest and largest raw integer that this channel can mean and a trace can hold."""
    if channel.quantity not in _PLAUSIBLE:
        return _RAW_MIN, _RAW_MAX
    low, high = (bound / channel.scale for bound in _PLAUSIBLE[channel.quantity])
    lowest = 1 if channel.quantity == "frequency_hz" else math.ceil(low)
    return max(_RAW_MIN, lowest), min(_RAW_MAX, math.floor(high))


class Unavailable(NamedTuple):
    """Why a probe has nothing to read here; `code` is absent, permission or error."""

    code: str
    reason: str


class Reading(NamedTuple):
    """One read of one channel: `raw` is None where the kernel answered with `errno`. Never 0 for unknown."""

    t_before_ns: int
    t_after_ns: int
    raw: Optional[int]
    errno: int = 0


class Probe(Protocol):
    """One source of readings; `discover` must be called before `read`."""

    def discover(self, root: Path) -> Union[Tuple[Channel, ...], Unavailable]:
        """Channels found under `root` (`/` on a real device), or the reason there are none."""

    def read(self) -> Tuple[Reading, ...]:
        """One reading per discovered channel, in the same order; nothing unwrapped, nothing scaled."""
