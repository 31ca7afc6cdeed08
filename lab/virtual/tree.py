"""The files a virtual board shows: an INA226-like power sensor, a thermal zone, a clock, and what it is.

Values that change are written in place by one write of fixed length, padded with spaces, because probes keep such
files open: a replaced file would stay unseen, and a shorter number over a longer one would be neither.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from .physics import BoardState, Physics

TITLE_SUFFIX = " (virtual)"
"""What a virtual profile's title ends with; the rest names the board it resembles."""

RAIL = "VDD_IN"
_WIDTH = 15
_POWER = "sys/class/hwmon/hwmon0/power1_input"
_TEMPERATURE = "sys/class/thermal/thermal_zone0/temp"
_CLOCK = "sys/devices/system/cpu/cpufreq/policy0/scaling_cur_freq"
_KEPT_CPUINFO = re.compile(r"(processor|flags|Features|isa)\s*:")


def model_text(board: str) -> str:
    """What the board says it is; never to be taken for the real one."""
    return f"JouleLab virtual board (simulated), like {board}"


class VirtualTree:
    """A tree under `root` for one board; `host_root` is where this host's own /proc/cpuinfo is."""

    def __init__(self, root: Path, board: str, physics: Physics, host_root: Path = Path("/")) -> None:
        self._physics = physics
        for name, text in _fixed_files(board, physics, host_root).items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        self._files = {name: _open(root / name) for name in (_POWER, _TEMPERATURE, _CLOCK)}

    def show(self, state: BoardState, mean_power_w: float) -> None:
        """Write the sensor's mean power and the state's temperature and clock, in the kernel's units."""
        self._write(_POWER, self._physics.sensor_microwatts(mean_power_w))
        self._write(_TEMPERATURE, round(state.temperature_c * 1e3))
        self._write(_CLOCK, state.clock_hz // 1000)

    def close(self) -> None:
        """Close the files and leave them with their last values; idempotent."""
        for descriptor in self._files.values():
            os.close(descriptor)
        self._files = {}

    def _write(self, name: str, value: int) -> None:
        os.pwrite(self._files[name], f"{value:>{_WIDTH}d}\n".encode("ascii"), 0)


def _open(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o644)


def _fixed_files(board: str, physics: Physics, host_root: Path) -> dict[str, str]:
    model = model_text(board)
    clock_khz = f"{round(physics.clock_max_hz / 1000)}\n"
    return {
        "sys/class/hwmon/hwmon0/name": "ina226\n",
        "sys/class/hwmon/hwmon0/power1_label": f"{RAIL}\n",
        "sys/class/hwmon/hwmon0/update_interval": f"{round(physics.sensor_period_ns / 1e6)}\n",
        "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
        "sys/devices/system/cpu/cpufreq/policy0/cpuinfo_max_freq": clock_khz,
        "proc/cpuinfo": _cpuinfo(model, host_root / "proc/cpuinfo"),
        "proc/meminfo": f"MemTotal:       {round(physics.memory_bytes / 1024)} kB\n",
        "proc/device-tree/model": f"{model}\0",
        "sys/firmware/devicetree/base/model": f"{model}\0",
    }


def _cpuinfo(model: str, host_file: Path) -> str:
    """The board's name over this host's own processors: what they can execute decides which kernels will be used."""
    try:
        host = host_file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        host = ""
    kept = [line for line in host.splitlines() if not line or _KEPT_CPUINFO.match(line)]
    lines = "\n".join(f"{line}\nmodel name\t: {model}" if line.startswith("processor") else line for line in kept)
    return f"{lines}\nModel\t\t: {model}\n"
