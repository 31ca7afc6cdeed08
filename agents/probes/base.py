"""What a probe is: it finds channels under a root folder, and reads raw integers from them."""

from __future__ import annotations

from pathlib import Path
from typing import Callable, NamedTuple, Optional, Protocol, Tuple, Union

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
