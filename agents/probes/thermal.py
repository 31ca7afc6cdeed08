"""Temperatures of the kernel's thermal zones."""

from __future__ import annotations

from pathlib import Path
from typing import List

from .base import Channel
from .sysfs import FileProbe, Found, numbered, read_text


class ThermalProbe(FileProbe):
    """One channel per zone, named by the zone's type; the kernel says thousandths of a degree Celsius."""

    absent = "No temperature: /sys/class/thermal holds no thermal_zone. Virtual machines have none."
    remedy = "Give the agent's user read access to /sys/class/thermal/thermal_zone*/temp."

    def find(self, root: Path) -> List[Found]:
        """Zones by number."""
        return [
            Found(Channel(read_text(zone / "type") or zone.name, "temperature_c", "sample", 1e-3), zone / "temp",
                  zone.name)
            for zone in numbered(root / "sys/class/thermal", "thermal_zone")
        ]
