"""Which traces of a window make up the device's energy figure."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

from lab.domain.device import DeviceProfile, Rail, Scope
from lab.domain.recording import Trace, Window

from .curves import Curve, curve_of, product_curve

_SHOWN_MAX = 6
_ELECTRIC = ("energy_j", "power_w", "current_a", "voltage_v")


@dataclass(frozen=True, kw_only=True, eq=False)
class RailCurve:
    """One rail of the device by its own name, the profile's line about it, and its power over time."""

    name: str
    rail: Rail
    curve: Curve


@dataclass(frozen=True, kw_only=True, eq=False)
class Headline:
    """The rails whose sum is the device's energy, or the flag code and text that say why there are none."""

    rails: tuple[RailCurve, ...] = ()
    scope: Scope | None = None
    code: str | None = None
    reason: str = ""


def headline_of(window: Window, profile: DeviceProfile) -> Headline:
    """The headline rails of a window: every trace whose rail a headline line of the profile names.

    Lines of several scopes are alternatives, the first one with traces counts: unlike scopes are never added. One
    rail that cannot be read spoils the sum, since the rest of it would look like less energy.
    """
    patterns = [rail for rail in profile.rails if rail.headline]
    by_rail = _electric_traces(window)
    matched = {name: rail for name in by_rail if (rail := _line_of(name, profile)) is not None and rail.headline}
    scope = next((rail.scope for rail in patterns if rail.scope in {found.scope for found in matched.values()}), None)
    if scope is None:
        return _without_headline(by_rail, patterns, profile)
    return _read(window, by_rail, {name: rail for name, rail in matched.items() if rail.scope is scope}, scope)


def _without_headline(by_rail: dict[str, dict[str, Trace]], patterns: list[Rail], profile: DeviceProfile) -> Headline:
    """Why there is no figure: nothing gave power, or only rails that the profile does not count."""
    looked_for = f"looked for rails {', '.join(rail.name for rail in patterns)}" if patterns else "it names none"
    seen = [name for name, traces in by_rail.items() if _best_curve(traces) is not None]
    if not seen:
        return Headline(code="no_power_source", reason="this device has no power sensor that profile "
                                                       f"{profile.name} counts as its energy ({looked_for})")
    rails = ", ".join(seen[:_SHOWN_MAX]) + (", …" if len(seen) > _SHOWN_MAX else "")
    return Headline(code="no_headline_rail", reason=(
        f"power was recorded on rails {rails}, but profile {profile.name} counts none of them as this device's energy "
        f"({looked_for}); choose a profile that names the device's energy rail: "
        "`lab devices add NAME URL --profile …`"))


def _read(window: Window, by_rail: dict[str, dict[str, Trace]], chosen: dict[str, Rail], scope: Scope) -> Headline:
    rails = []
    for name, rail in chosen.items():
        traces = by_rail[name]
        if any(trace.clock != f"agent:{window.boot_id}" for trace in traces.values()):
            return Headline(code="power_unreadable", reason=f"rail {name} was read by another clock than the window")
        curve = _best_curve(traces)
        if curve is None:
            return Headline(code="power_unreadable", reason=_why_unreadable(name, traces))
        rails.append(RailCurve(name=name, rail=rail, curve=curve))
    return Headline(rails=tuple(rails), scope=scope)


def _electric_traces(window: Window) -> dict[str, dict[str, Trace]]:
    """Traces by rail and quantity; of two sources under one name the first counts, adding both would count twice."""
    found: dict[str, dict[str, Trace]] = {}
    for trace in window.traces:
        if trace.quantity in _ELECTRIC:
            found.setdefault(trace.rail, {}).setdefault(trace.quantity, trace)
    return found


def _line_of(name: str, profile: DeviceProfile) -> Rail | None:
    return next((rail for rail in profile.rails if fnmatchcase(name, rail.name)), None)


def _best_curve(traces: dict[str, Trace]) -> Curve | None:
    """A counter misses nothing, so it comes first; then power as read; then current times voltage."""
    for quantity in ("energy_j", "power_w"):
        curve = curve_of(traces[quantity]) if quantity in traces else None
        if curve is not None:
            return curve
    if "current_a" in traces and "voltage_v" in traces:
        return product_curve(traces["current_a"], traces["voltage_v"])
    return None


def _why_unreadable(name: str, traces: dict[str, Trace]) -> str:
    errnos = sorted({errno for trace in traces.values() for _, errno in trace.errors})
    if errnos:
        return f"rail {name}: its reads failed with errno {', '.join(map(str, errnos))}"
    return f"rail {name}: fewer than two usable readings of {', '.join(sorted(traces))}"
