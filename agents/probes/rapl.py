"""Energy counters of Intel and AMD processors (RAPL) as the kernel's powercap class shows them."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Dict, List, Optional, Tuple

from .base import Channel
from .sysfs import FileProbe, Found, read_text

_ZONE = re.compile(r"(intel-rapl|intel-rapl-mmio)((?::[0-9]+)+)")
_REGISTER_VALUES = 1 << 32

Numbers = Tuple[int, ...]


class RaplProbe(FileProbe):
    """One counter per zone: `package-0`, `package-0/core`, `package-0/dram`, `psys`, …

    A zone holds its sub-zones, and psys holds the packages: which rails may be added is the profile's to say.
    The same registers can be shown a second time as `intel-rapl-mmio`; only one set is used.
    """

    absent = ("No RAPL energy counter: /sys/class/powercap holds no readable intel-rapl zone. Virtual machines, "
              "containers and processors other than Intel's and AMD's have none.")
    remedy = ("The kernel lets only root read RAPL counters. On the device, until its next boot: "
              "`sudo chmod a+r /sys/class/powercap/intel-rapl*:*/energy_uj`. Reading them can reveal what other "
              "users compute (CVE-2020-8694), so do this on machines of your own only.")

    def find(self, root: Path) -> List[Found]:
        """Zones by number; energy in µJ."""
        folder = root / "sys/class/powercap"
        zones = _zones(folder)
        return [
            Found(Channel(_rail(zones, numbers), "energy_j", "counter", 1e-6, wrap_at(zone)), zone / "energy_uj",
                  zone.name)
            for numbers, zone in sorted(zones.items())
        ]


def wrap_at(zone: Path) -> Optional[int]:
    """Where a zone's counter starts again at 0, in µJ, or None where the kernel does not say.

    `max_energy_range_uj` is the largest value the 32-bit register can hold, not the number of values: the counter
    passes from there to 0 in one more register step, so the modulus is range · 2³² / (2³² − 1). (Adding 1 µJ
    would leave out the step of 15 or 61 µJ.)
    """
    text = read_text(zone / "max_energy_range_uj")
    if text is None or not text.isdigit() or int(text) == 0:
        return None
    steps = _REGISTER_VALUES - 1
    return (int(text) * _REGISTER_VALUES + steps // 2) // steps


def _zones(folder: Path) -> Dict[Numbers, Path]:
    by_interface: Dict[str, Dict[Numbers, Path]] = {}
    try:
        names = os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    for match in filter(None, map(_ZONE.fullmatch, names)):
        numbers = tuple(int(part) for part in match.group(2)[1:].split(":"))
        by_interface.setdefault(match.group(1), {})[numbers] = folder / match.group(0)
    return by_interface.get("intel-rapl") or by_interface.get("intel-rapl-mmio") or {}


def _rail(zones: Dict[Numbers, Path], numbers: Numbers) -> str:
    """Names from the package down, joined by `/`; a zone without a name goes by its folder."""
    chain = [numbers[:length] for length in range(1, len(numbers) + 1)]
    return "/".join(read_text(zones[part] / "name") or zones[part].name for part in chain if part in zones)
