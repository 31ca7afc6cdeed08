"""Energy of windows and blocks, from power traces and marks."""

from __future__ import annotations

from dataclasses import dataclass

from lab.domain.device import DeviceProfile, Rail, Scope
from lab.domain.flags import Flag, Severity
from lab.domain.recording import BlockWindows, Window

from .estimates import mean_of
from .rails import Headline, headline_of

GAP_DEGRADED_RATIO = 0.001
GAP_VOID_RATIO = 0.01


@dataclass(frozen=True, kw_only=True)
class RailEnergy:
    """What one rail delivered in a window."""

    name: str
    rail: Rail
    energy_j: float


@dataclass(frozen=True, kw_only=True)
class WindowEnergy:
    """Energy between a window's marks; `energy_j` is None where no trace, or a void flag, forbids a number."""

    energy_j: float | None
    duration_s: float
    rails: tuple[RailEnergy, ...] = ()
    scope: Scope | None = None
    flags: tuple[Flag, ...] = ()

    @property
    def mean_power_w(self) -> float | None:
        """Energy over time."""
        return None if self.energy_j is None else self.energy_j / self.duration_s


@dataclass(frozen=True, kw_only=True)
class BlockEnergy:
    """Energy of a cell's window in one block; `gross_j` and `net_j` are per inference.

    `idle_drift_w` is how far the idles before and after the window differ, None with only one of them.
    """

    block_id: str
    window: WindowEnergy
    inferences: int
    idle_power_w: float | None = None
    idle_at_window_w: float | None = None
    idle_drift_w: float | None = None

    @property
    def gross_j(self) -> float | None:
        """All the energy of the window, per inference."""
        return None if self.window.energy_j is None else self.window.energy_j / self.inferences

    @property
    def net_j(self) -> float | None:
        """What the window took beyond idling as long, per inference; may be negative where noise is larger."""
        if self.window.energy_j is None or self.idle_at_window_w is None:
            return None
        return (self.window.energy_j - self.idle_at_window_w * self.window.duration_s) / self.inferences

    @property
    def inference_s(self) -> float:
        """Window time per inference."""
        return self.window.duration_s / self.inferences


def window_energy(window: Window, profile: DeviceProfile) -> WindowEnergy:
    """Sum of the headline rails between `window_start` and `window_end`.

    A window or an idle; both marks must be there.
    """
    start_ns, end_ns = window.mark_ns("window_start"), window.mark_ns("window_end")
    if start_ns is None or end_ns is None:
        return WindowEnergy(energy_j=None, duration_s=0.0)
    duration_s = (end_ns - start_ns) * 1e-9
    headline = headline_of(window, profile)
    if headline.code is not None:
        missing = Flag(code=headline.code, severity=Severity.INFO, detail=headline.reason)
        return WindowEnergy(energy_j=None, duration_s=duration_s, flags=(missing,))
    flags = _flags(headline, start_ns, end_ns)
    rails = tuple(RailEnergy(name=each.name, rail=each.rail, energy_j=each.curve.energy_j(start_ns, end_ns))
                  for each in headline.rails)
    is_void = any(flag.severity is Severity.VOID for flag in flags)
    return WindowEnergy(energy_j=None if is_void else sum(each.energy_j for each in rails), duration_s=duration_s,
                        rails=rails, scope=headline.scope, flags=flags)


def block_energy(block: BlockWindows, profile: DeviceProfile) -> BlockEnergy:
    """Gross and net energy of a block's window, which must have inferences."""
    window = block.window
    measured = _positive(window_energy(window, profile))
    idles = [(idle.position, energy) for idle in block.idles if not idle.error
             for energy in (window_energy(idle, profile),) if _same_rails(energy, measured)]
    powers = {position: power for position, energy in idles if (power := energy.mean_power_w) is not None}
    before = [(position, power) for position, power in powers.items() if position < window.position]
    after = [(position, power) for position, power in powers.items() if position > window.position]
    if not powers:
        return BlockEnergy(block_id=block.block_id, window=measured, inferences=window.inferences)
    drift_w = max(before)[1] - min(after)[1] if before and after else None
    return BlockEnergy(
        block_id=block.block_id, window=measured, inferences=window.inferences,
        idle_power_w=mean_of(list(powers.values())),
        idle_at_window_w=_idle_at(block, dict([max(before)] if before else []) | dict([min(after)] if after else [])),
        idle_drift_w=None if drift_w is None else abs(drift_w))


def _idle_at(block: BlockWindows, powers: dict[int, float]) -> float:
    """Idle power in the middle of the window, on a line through the middles of the idles before and after."""
    points = sorted((_middle_ns(idle), powers[idle.position]) for idle in block.idles if idle.position in powers)
    (first_ns, first_w), (last_ns, last_w) = points[0], points[-1]
    if first_ns >= last_ns or any(idle.boot_id != block.window.boot_id for idle in block.idles):
        return mean_of(list(powers.values()))
    share = (_middle_ns(block.window) - first_ns) / (last_ns - first_ns)
    return first_w + (last_w - first_w) * min(max(share, 0.0), 1.0)


def _middle_ns(window: Window) -> int:
    return ((window.mark_ns("window_start") or 0) + (window.mark_ns("window_end") or 0)) // 2


def _same_rails(idle: WindowEnergy, window: WindowEnergy) -> bool:
    return {each.name for each in idle.rails} == {each.name for each in window.rails}


def _positive(energy: WindowEnergy) -> WindowEnergy:
    """A running device takes energy: a figure that is not above zero comes from a wrong sign or a dead sensor."""
    if energy.energy_j is None or energy.energy_j > 0:
        return energy
    wrong = Flag(code="power_unreadable", severity=Severity.INFO,
                 detail=f"the rails gave {energy.energy_j:.3g} J in {energy.duration_s:.3g} s of work")
    return WindowEnergy(energy_j=None, duration_s=energy.duration_s, flags=(*energy.flags, wrong))


def _flags(headline: Headline, start_ns: int, end_ns: int) -> tuple[Flag, ...]:
    flags = []
    for each in headline.rails:
        if each.curve.has_reset(start_ns, end_ns):
            flags.append(Flag(code="counter_reset", severity=Severity.VOID,
                              detail=f"rail {each.name}: its counter went backwards and that was no wrap"))
        missing_ns = each.curve.missing_ns(start_ns, end_ns)
        ratio = missing_ns / (end_ns - start_ns)
        if ratio > GAP_DEGRADED_RATIO:
            severity = Severity.VOID if ratio > GAP_VOID_RATIO else Severity.DEGRADED
            flags.append(Flag(code="energy_gap", severity=severity, touched_ns=missing_ns,
                              detail=f"rail {each.name}: no reading for {100 * ratio:.2g} % of the window"))
    return tuple(flags)
