"""The probes a block asks for, opened; each one that cannot be read becomes a flag or a fact."""

from __future__ import annotations

import threading
from importlib import import_module
from pathlib import Path
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Set, Tuple

from agents.flags import DEGRADED, INFO, Flag, flag
from agents.probes import PROBES
from agents.probes.base import Channel, Probe, Reading, Unavailable, raw_bounds

MEMORY = "memory"
"""Named in profiles beside the probes; the worker reports its own memory, so there is nothing to sample."""

MAX_CHANNELS = 300
"""In one recording: three arrays each, within the format's limit."""

STATE_PROBES = ("thermal", "cpufreq")
"""Read once before and after each window, whether they are sampled or not."""

HANGING_S = 5.0
"""A read that takes longer hangs, and must not keep the block from its windows."""

_FLAG_CODES = {"thermal": "temperature_unknown", "cpufreq": "frequency_unknown"}
_STATE_KEYS = {"temperature_c": "temperatures_c", "frequency_hz": "frequencies_hz"}


class OpenProbe(NamedTuple):
    """A probe and what it found to read."""

    name: str
    probe: Probe
    channels: Tuple[Channel, ...]


class Missing(NamedTuple):
    """A probe without readings; `code` is unknown, absent, permission or error."""

    name: str
    code: str
    reason: str

    def flags(self) -> List[Flag]:
        """What this means for a window; a power source that is not there is no fault while another is."""
        detail = f"probe {self.name}: {self.reason}"
        if self.code == "unknown":
            return [flag("probe_unknown", INFO, detail)]
        if self.name in _FLAG_CODES:
            return [flag(_FLAG_CODES[self.name], INFO, detail)]
        return [] if self.code == "absent" else [flag("power_unreadable", DEGRADED, detail)]


def open_probes(names: Sequence[str], root: Path,
                registry: Mapping[str, str] = PROBES) -> Tuple[List[OpenProbe], List[Missing]]:
    """Each named probe once, in order: opened, or the reason why not."""
    opened: List[OpenProbe] = []
    missing: List[Missing] = []
    for name in dict.fromkeys(names):
        if name == MEMORY:
            continue
        found = _open(name, root, registry)
        if isinstance(found, OpenProbe) and sum(len(one.channels) for one in (*opened, found)) > MAX_CHANNELS:
            found = Missing(name, "error", f"its {len(found.channels)} channels would make more than {MAX_CHANNELS}")
        if isinstance(found, Missing):
            missing.append(found)
        else:
            opened.append(found)
    return opened, missing


def _open(name: str, root: Path, registry: Mapping[str, str]) -> "OpenProbe | Missing":
    if name not in registry:
        return Missing(name, "unknown", f"this agent knows only {', '.join(sorted(registry))}")
    module, _, attribute = registry[name].partition(":")
    try:
        probe: Probe = getattr(import_module(module), attribute)()
        channels = probe.discover(root)
    except (ImportError, AttributeError, OSError) as error:
        return Missing(name, "error", str(error))
    if isinstance(channels, Unavailable):
        return Missing(name, channels.code, channels.reason)
    return OpenProbe(name, probe, tuple(channels))


def read_state(probes: Sequence[OpenProbe], hanging: Set[str],
               timeout_s: float = HANGING_S) -> Dict[str, Dict[str, Any]]:
    """Temperatures and clocks at this instant by sensor name; a failed or implausible read is left out.

    A probe whose read does not return in time is added to `hanging`; those in there are not read.
    """
    state: Dict[str, Dict[str, Any]] = {key: {} for key in _STATE_KEYS.values()}
    for opened in probes:
        if opened.name in hanging or not any(channel.quantity in _STATE_KEYS for channel in opened.channels):
            continue
        readings = _read_within(opened.probe, timeout_s)
        if readings is None:
            hanging.add(opened.name)
            continue
        for channel, reading in zip(opened.channels, readings):
            raw, (lowest, highest) = reading.raw, raw_bounds(channel)
            if channel.quantity in _STATE_KEYS and raw is not None and lowest <= raw <= highest:
                state[_STATE_KEYS[channel.quantity]][channel.rail] = _si(channel, raw)
    return state


def _read_within(probe: Probe, timeout_s: float) -> Optional[Sequence[Reading]]:
    """What the probe says, nothing where it fails, None where it hangs; its thread is then left behind."""
    found: List[Sequence[Reading]] = []

    def read() -> None:
        try:
            found.append(probe.read())
        except OSError:
            found.append(())

    thread = threading.Thread(target=read, name="state", daemon=True)
    thread.start()
    thread.join(timeout_s)
    return found[0] if found else None


def _si(channel: Channel, raw: int) -> "int | float":
    value = raw * channel.scale
    return round(value) if channel.quantity == "frequency_hz" else value
