"""Devices and what is known about them before anyone connects."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal


class Scope(StrEnum):
    """Which part of the machine a power figure covers; unlike scopes are never ranked together."""

    RAIL = "rail"
    MODULE = "module"
    BOARD_DC = "board_dc"
    BATTERY = "battery"
    WALL = "wall"
    PACKAGE = "package"


class Origin(StrEnum):
    """How a power figure came to be; it travels with the figure to the last export."""

    MEASURED = "measured"
    ESTIMATED = "estimated"
    SIMULATED = "simulated"


@dataclass(frozen=True, kw_only=True)
class Rail:
    """One power rail by name pattern (`fnmatch`), with the limits its sensor's maker states.

    `headline` marks the rails whose sum is the device's energy figure; the others are a breakdown.
    """

    name: str
    scope: Scope
    source: str
    headline: bool = False
    resolution_w: float | None = None
    gain_limit_ratio: float | None = None
    offset_limit_w: float | None = None


@dataclass(frozen=True, kw_only=True)
class RuntimeLimits:
    """What the device's runtime can load; `None` means nobody has checked."""

    opset_max: int | None = None
    ir_max: int | None = None
    python_min: str = "3.9"
    threads_max: int | None = None


@dataclass(frozen=True, kw_only=True)
class SettlePolicy:
    """When the device counts as ready for a window."""

    temperature_max_c: float | None = None
    timeout_ns: int = 60_000_000_000


@dataclass(frozen=True, kw_only=True)
class DeviceProfile:
    """A kind of board, read from `profiles/<name>.yaml`; `sources` cites where its claims come from."""

    name: str
    title: str
    transport: Literal["local", "ssh", "serial", "virtual"]
    origin: Origin = Origin.MEASURED
    verified: Literal["no", "virtual", "board"] = "no"
    rails: tuple[Rail, ...] = ()
    probes: tuple[str, ...] = ("rapl", "hwmon_power", "thermal", "cpufreq", "memory")
    limits: RuntimeLimits = field(default_factory=RuntimeLimits)
    settle: SettlePolicy = field(default_factory=SettlePolicy)
    controls: tuple[str, ...] = ()
    bootstrap: tuple[str, ...] = ("numpy", "onnxruntime")
    recommended_meter: str | None = None
    physics: tuple[tuple[str, float], ...] = ()
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Device:
    """A registered device: where it is and which profile describes it.

    `url` is `local`, `virtual:NAME` or `ssh://[user@]host[:port]`. `agent_host` names the worker that reaches it,
    `pools` the groups of equal devices it belongs to, `power` how its supply is switched (never a secret), `reboot` the
    command that reboots it, carried out on the device itself.
    """

    name: str
    url: str
    profile: str
    python: str | None = None
    agent_host: str = "controller"
    pools: tuple[str, ...] = ()
    power: tuple[tuple[str, str], ...] = ()
    reboot: str | None = None


@dataclass(frozen=True, kw_only=True)
class ChannelFacts:
    """One quantity a probe on the device can read."""

    probe: str
    rail: str
    quantity: str
    kind: Literal["sample", "interval_mean", "counter"]


@dataclass(frozen=True, kw_only=True)
class DeviceFacts:
    """What an agent said about its host: untrusted text, cleaned, lengths capped."""

    agent_sha256: str
    boot_id: str
    machine: str
    system: str
    kernel: str
    python: str
    cpu_model: str
    cpu_count: int
    isa: tuple[str, ...]
    memory_bytes: int | None
    model: str | None
    runtimes: tuple[tuple[str, str], ...]
    channels: tuple[ChannelFacts, ...]
    unavailable: tuple[tuple[str, str], ...]
    has_aes: bool = False
