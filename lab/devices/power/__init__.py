"""Ways to cut a device's power, one file each; resolved by the `kind` in its power settings."""

from __future__ import annotations

import difflib
import importlib
import os
import time
from collections.abc import Callable, Mapping
from typing import Any

from lab.errors import ConfigError

from .base import PowerSwitch
from .settings import SwitchSettings

__all__ = ["SWITCHES", "PowerSwitch", "build_switch", "check_settings"]

SWITCHES = {
    "command": "lab.devices.power.command:CommandSwitch",
    "scpi": "lab.devices.power.scpi:ScpiSwitch",
    "shelly": "lab.devices.power.shelly:ShellySwitch",
    "tasmota": "lab.devices.power.tasmota:TasmotaSwitch",
    "usb_hub": "lab.devices.power.usb_hub:UsbHubSwitch",
}


def build_switch(settings: tuple[tuple[str, str], ...], *, environ: Mapping[str, str] = os.environ,
                 sleep: Callable[[float], None] = time.sleep) -> PowerSwitch:
    """The switch that these settings describe; nothing is contacted yet.

    Raises ConfigError for an unknown kind, a key that is missing, unknown or wrong, or a password variable not set.
    """
    cls, values = _class_and_values(settings)
    switch: PowerSwitch = cls.from_settings(SwitchSettings(kind=values.kind, values=values.values, environ=environ),
                                            sleep)
    return switch


def check_settings(settings: tuple[tuple[str, str], ...]) -> None:
    """Raise the ConfigError that `build_switch` would, except for passwords: those are set beside the device."""
    cls, values = _class_and_values(settings)
    name = values.text("password_env")
    cls.from_settings(SwitchSettings(kind=values.kind, values=values.values, environ={name: "unknown here"}),
                      time.sleep)


def _class_and_values(settings: tuple[tuple[str, str], ...]) -> tuple[Any, SwitchSettings]:
    values: dict[str, str] = {}
    for key, value in settings:
        if key in values:
            raise ConfigError(f"power: {key} is given twice; give it once")
        values[key] = value
    kind = values.pop("kind", "")
    if kind not in SWITCHES:
        close = difflib.get_close_matches(kind, list(SWITCHES), n=1)
        got = f"unknown kind {kind!r}" + (f", did you mean {close[0]!r}?" if close else "") if kind else "missing kind"
        raise ConfigError(f"power: {got}; known kinds: {', '.join(SWITCHES)}")
    module, name = SWITCHES[kind].split(":")
    cls = getattr(importlib.import_module(module), name)
    known = SwitchSettings(kind=kind, values=values)
    known.check_keys(cls.REQUIRED, cls.OPTIONAL)
    return cls, known
