"""Is this device fit to measure? One line per thing a campaign needs, each saying what would change a bad answer."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal, TypeAlias

from lab.domain.device import DeviceFacts, DeviceProfile
from lab.domain.recording import ClockSync
from lab.errors import DeviceBusy, RequestFailed

from .session import AgentSession

Status: TypeAlias = Literal["ok", "warn", "fail"]

CLOCK_LIMIT_NS = 5_000_000
"""Above this uncertainty, marks of a window and an external meter's samples can no longer be matched well."""

MEMORY_LIMIT_BYTES = 256 * 1024 * 1024
ONNX_RUNTIME = "onnx_runtime"
TEMPERATURE_PROBE = "thermal"
FREQUENCY_PROBE = "cpufreq"
INSTALL = "python3 -m pip install numpy onnxruntime"
_POWER = ("power_w", "energy_j", "current_a", "voltage_v")
_LEASE_S = 5


@dataclass(frozen=True, kw_only=True)
class CheckLine:
    """One finding: `warn` limits what can be measured, `fail` prevents measuring."""

    name: str
    status: Status
    text: str


def check_device(session: AgentSession, profile: DeviceProfile | None = None, *,
                 facts: DeviceFacts | None = None) -> tuple[CheckLine, ...]:
    """All findings, in fixed order; raises what the session raises if the device cannot be asked at all.

    With the device's `profile` it is also said whether what can be read becomes its energy. `facts` that are known
    already are not asked for again.
    """
    facts = facts or session.facts()
    return (
        python_line(facts), runtime_line(facts), power_line(facts, profile), temperature_line(facts),
        frequency_line(facts), memory_line(facts), aes_line(facts), clock_line(session.clock_sync()),
        lease_line(session),
    )


def python_line(facts: DeviceFacts) -> CheckLine:
    """Which Python the agent runs on; a too old one never gets this far."""
    return CheckLine(name="python", status="ok", text=f"{facts.python} on {facts.system} {facts.machine}")


def runtime_line(facts: DeviceFacts) -> CheckLine:
    """Whether models can be executed."""
    versions = dict(facts.runtimes)
    if ONNX_RUNTIME not in versions:
        reason = dict(facts.unavailable).get(ONNX_RUNTIME, "not found")
        return CheckLine(name="runtime", status="fail", text=(
            f"onnxruntime cannot be used by the agent's Python {facts.python} ({reason}); on the device: {INSTALL}"))
    return CheckLine(name="runtime", status="ok", text=", ".join(f"{k} {v}" for k, v in versions.items()))


def power_line(facts: DeviceFacts, profile: DeviceProfile | None = None) -> CheckLine:
    """Whether the device can tell what it draws, and whether its profile makes that the device's energy."""
    channels = [channel for channel in facts.channels if channel.quantity in _POWER]
    if channels:
        found = ", ".join(f"{c.rail} ({c.probe}, {c.quantity})" for c in channels)
        if profile is None or any(_is_headline(channel.rail, profile) for channel in channels):
            return CheckLine(name="power", status="ok", text=found)
        return CheckLine(name="power", status="warn", text=(
            f"readable: {found}, but profile {profile.name} names none as this device's energy, so energy will be "
            f"missing; choose --profile with its board's when adding it, or write one"))
    others = {TEMPERATURE_PROBE, FREQUENCY_PROBE, ONNX_RUNTIME}
    reasons = "; ".join(f"{probe}: {reason.rstrip('.')}" for probe, reason in facts.unavailable if probe not in others)
    return CheckLine(name="power", status="warn", text=(
        f"no power or energy reading, so energy will be missing: {reasons or 'no probe found a sensor'}. Grant the "
        f"agent's user read access to the sensor if there is one, or put an external meter, such as a USB-C inline "
        f"meter, into the supply"))


def temperature_line(facts: DeviceFacts) -> CheckLine:
    """Whether throttling by heat can be seen."""
    return _sensor_line(facts, "temperature", "temperature_c", TEMPERATURE_PROBE, "heat cannot be told from noise")


def frequency_line(facts: DeviceFacts) -> CheckLine:
    """Whether changes of the clock can be seen."""
    return _sensor_line(facts, "clock", "frequency_hz", FREQUENCY_PROBE, "changes of the CPU clock go unseen")


def memory_line(facts: DeviceFacts) -> CheckLine:
    """Whether there is room for a model."""
    if facts.memory_bytes is None:
        return CheckLine(name="memory", status="warn", text="its size is not known; large models may be killed")
    status: Status = "ok" if facts.memory_bytes >= MEMORY_LIMIT_BYTES else "warn"
    return CheckLine(name="memory", status=status, text=f"{facts.memory_bytes / 2**20:.0f} MiB")


def aes_line(facts: DeviceFacts) -> CheckLine:
    """Which cipher uploads should use."""
    if facts.has_aes:
        return CheckLine(name="aes", status="ok", text="AES instructions: uploads may use AES-GCM")
    return CheckLine(name="aes", status="ok", text="no AES instructions: uploads keep the default ciphers")


def clock_line(sync: ClockSync) -> CheckLine:
    """How well the device's clock is known here."""
    good = sync.uncertainty_ns <= CLOCK_LIMIT_NS
    text = f"known to ±{sync.uncertainty_ns / 1e6:.3f} ms by {sync.exchanges} exchanges"
    if not good:
        text += f"; more than {CLOCK_LIMIT_NS / 1e6:g} ms blurs an external meter's windows: use a wired network"
    return CheckLine(name="clock sync", status="ok" if good else "warn", text=text)


def lease_line(session: AgentSession) -> CheckLine:
    """Whether the device is free: takes the lease for a moment and gives it back."""
    try:
        session.release_lease(session.acquire_lease("lab devices check", _LEASE_S))
    except DeviceBusy as error:
        return CheckLine(name="lease", status="warn", text=str(error))
    except RequestFailed as error:
        return CheckLine(name="lease", status="fail", text=str(error))
    return CheckLine(name="lease", status="ok", text="free")


def _sensor_line(facts: DeviceFacts, name: str, quantity: str, probe: str, consequence: str) -> CheckLine:
    rails = [channel.rail for channel in facts.channels if channel.quantity == quantity]
    if rails:
        return CheckLine(name=name, status="ok", text=", ".join(rails))
    reason = dict(facts.unavailable).get(probe, "no sensor found")
    return CheckLine(name=name, status="warn", text=f"{consequence}: {reason}")


def _is_headline(name: str, profile: DeviceProfile) -> bool:
    """The first line of a profile that names a rail is the one that counts."""
    line = next((rail for rail in profile.rails if fnmatchcase(name, rail.name)), None)
    return line is not None and line.headline
