"""Power sensors on the board (INA219, INA226, INA3221, …) as the kernel's hwmon class shows them."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Dict, FrozenSet, List, Optional, Tuple

from .base import Channel
from .sysfs import FileProbe, Found, numbered, read_text

_AVERAGE = re.compile(r"(power)([0-9]+)_average")
_INPUT = re.compile(r"(energy|power|curr|in)([0-9]+)_input")
_GAUGE = re.compile(r"bat[0-9]*|.*battery.*", re.IGNORECASE)
_INA3221_CHANNELS = 3


class HwmonPowerProbe(FileProbe):
    """Channels by rail, from the best each chip offers: an energy counter, else power, else current and voltage.

    A rail read as current and voltage has one channel of each under the same name; they are multiplied in
    analysis, never here. Rails carry the board's labels; without one, `<chip>/power1`. Left out: battery and
    charger gauges, sums over other channels, shunt voltages, channels switched off or marked not connected.
    """

    absent = ("No power sensor: /sys/class/hwmon holds no power, energy or current-and-voltage input (battery "
              "gauges do not count). Measure this board with an external meter.")
    remedy = "Give the agent's user read access to power*_input, energy*_input, curr*_input and in*_input there."

    def find(self, root: Path) -> List[Found]:
        """Chips by hwmon number, rails by input number."""
        supplies = _power_supplies(root)
        found: List[Found] = []
        for entry in numbered(root / "sys/class/hwmon", "hwmon"):
            old_layout = not (entry / "name").exists() and (entry / "device" / "name").exists()
            folder = entry / "device" if old_layout else entry
            name = read_text(folder / "name") or entry.name
            if not _is_gauge(entry, name, supplies):
                found.extend(_Chip(folder, name, _tag(entry)).found())
        return found


class _Chip:
    """The inputs of one hwmon folder by kind and number."""

    def __init__(self, folder: Path, name: str, tag: str) -> None:
        self._folder = folder
        self._name = name
        self._tag = tag
        self._inputs: Dict[str, Dict[int, str]] = {"energy": {}, "power": {}, "curr": {}, "in": {}}
        names = os.listdir(folder)
        for pattern in (_AVERAGE, _INPUT):  # an input replaces the average of the same number
            for match in filter(None, map(pattern.fullmatch, names)):
                self._inputs[match.group(1)][int(match.group(2))] = match.group(0)

    def found(self) -> List[Found]:
        """Channels of this chip, each rail once."""
        every = [item for number in sorted(set().union(*self._inputs.values())) for item in self._best(number)]
        counted = {item.channel.rail for item in every if item.channel.kind == "counter"}
        kept: Dict[Tuple[str, str], Found] = {}
        for item in every:
            if item.channel.kind == "counter" or item.channel.rail not in counted:
                kept.setdefault((item.channel.rail, item.channel.quantity), item)
        return list(kept.values())

    def _best(self, number: int) -> List[Found]:
        for kind, quantity in (("energy", "energy_j"), ("power", "power_w")):
            file = self._inputs[kind].get(number)
            if file is None or not self._is_on(kind, number):
                continue
            label = self._label(kind, number) or self._label("power", number)
            if _is_left_out(label):
                return []
            trace = "counter" if kind == "energy" else "interval_mean" if file.endswith("_average") else "sample"
            return [self._channel(label or f"{self._name}/{kind}{number}", quantity, trace, 1e-6, file)]
        return self._pair(number)

    def _pair(self, number: int) -> List[Found]:
        if number not in self._inputs["curr"] or number not in self._inputs["in"]:
            return []
        if self._name == "ina3221" and number > _INA3221_CHANNELS:
            return []  # in4 to in6 are shunt voltages there, curr4 and in7 sums over the three channels
        label = self._label("curr", number) or self._label("in", number)
        if _is_left_out(label) or not (self._is_on("in", number) and self._is_on("curr", number)):
            return []
        rail = label or f"{self._name}/curr{number}"
        return [self._channel(rail, "current_a", "sample", 1e-3, f"curr{number}_input"),
                self._channel(rail, "voltage_v", "sample", 1e-3, f"in{number}_input")]

    def _channel(self, rail: str, quantity: str, kind: str, scale: float, file: str) -> Found:
        return Found(Channel(rail, quantity, kind, scale), self._folder / file, self._tag)

    def _label(self, kind: str, number: int) -> Optional[str]:
        return read_text(self._folder / f"{kind}{number}_label")

    def _is_on(self, kind: str, number: int) -> bool:
        return read_text(self._folder / f"{kind}{number}_enable") != "0"


def _is_left_out(label: Optional[str]) -> bool:
    return label is not None and ("shunt" in label.lower() or label == "NC")


def _power_supplies(root: Path) -> FrozenSet[str]:
    """Names of power supplies as hwmon spells them."""
    try:
        return frozenset(name.replace("-", "_") for name in os.listdir(root / "sys/class/power_supply"))
    except OSError:
        return frozenset()


def _is_gauge(entry: Path, name: str, supplies: FrozenSet[str]) -> bool:
    subsystem = os.path.basename(os.path.realpath(entry / "device" / "subsystem"))
    return subsystem == "power_supply" or name.replace("-", "_") in supplies or bool(_GAUGE.fullmatch(name))


def _tag(entry: Path) -> str:
    """The device behind an hwmon number (`1-0040` on I2C): the number itself changes from boot to boot."""
    device = entry / "device"
    return os.path.basename(os.path.realpath(device)) if device.is_symlink() else entry.name
