"""The page of registered devices: what each one is, what can be measured on it, what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatch

import streamlit as st

from lab.board import data
from lab.board.choices import explain_empty
from lab.board.table import Cell, Line, chip, sub, table, text_cell
from lab.board.words import LONG_LIMIT, clean, html_text, markdown_text, when
from lab.domain.device import DeviceFacts, DeviceProfile, Origin
from lab.errors import LabError

_GIB = 2**30


def render(sources: data.Sources) -> None:
    """An overview of all devices, then one of them in full."""
    st.title("Devices")
    known = data.devices(sources)
    if not known:
        explain_empty("No devices yet", "`lab demo` adds this machine and a virtual board. "
                      "`lab devices add NAME ssh://user@host` adds a board of yours.")
        return
    st.html(_overview(known))
    names = [each.device.name for each in known]
    name = st.selectbox("Device", names, format_func=lambda value: clean(value, 60))
    _details(sources, next(each for each in known if each.device.name == name))


def _overview(known: Sequence[data.KnownDevice]) -> str:
    heads = [Cell(html=text) for text in ("Device", "Address", "Profile", "Machine", "Power", "Last contact")]
    return table(heads, [Line(cells=_overview_cells(each)) for each in known],
                 caption="Registered devices. The board never connects to them: `lab devices check NAME` does.")


def _overview_cells(each: data.KnownDevice) -> list[Cell]:
    device, facts = each.device, each.facts
    cells = [text_cell(device.name), text_cell(device.url), text_cell(device.profile)]
    if facts is None:
        return [*cells, Cell(html="–" + sub("never contacted")), Cell(html="–"), Cell(html="–")]
    power = power_rails(facts)
    shown = "".join(chip("info", rail) for rail in power) if power else "–" + sub("no readable source")
    return [*cells, Cell(html=html_text(facts.machine) + sub(facts.model or facts.cpu_model)),
            Cell(html=shown, css="wide"), text_cell(when(each.facts_utc))]


def power_rails(facts: DeviceFacts) -> list[str]:
    """Rails on which the device can read power or energy."""
    return list(dict.fromkeys(channel.rail for channel in facts.channels
                              if channel.quantity in {"power_w", "energy_j"}))


def missing_rails(profile: DeviceProfile, facts: DeviceFacts) -> list[str]:
    """Rails that the profile promises and the device did not show."""
    present = power_rails(facts)
    return [rail.name for rail in profile.rails if not any(fnmatch(name, rail.name) for name in present)]


def _details(sources: data.Sources, each: data.KnownDevice) -> None:
    left, right = st.columns(2)
    profile: DeviceProfile | None = None
    with left:
        st.subheader("Profile")
        try:
            profile = sources.load_profile(each.device.profile)
        except LabError as error:
            st.error(markdown_text(error))
        else:
            st.html(_profile_table(profile))
    with right:
        st.subheader("What the device said")
        if each.facts is None:
            st.markdown("Nothing yet: `lab devices check NAME` connects to it and asks.")
            return
        st.html(_facts_table(each.facts))
    _channels(each.facts)
    _missing(profile, each.facts)


def _pairs(pairs: Sequence[tuple[str, object]], caption: str) -> str:
    lines = [Line(cells=[Cell(html=html_text(name)), text_cell(value, css="wide", limit=400)])
             for name, value in pairs]
    return table([Cell(html="Field"), Cell(html="Value")], lines, caption=caption)


def _profile_table(profile: DeviceProfile) -> str:
    rails = ", ".join(f"{rail.name} ({rail.scope.replace('_', ' ')}{', headline' if rail.headline else ''})"
                      for rail in profile.rails)
    origin = "SIMULATED" if profile.origin is Origin.SIMULATED else str(profile.origin)
    verified = {"no": "no: nobody has tried it on a board", "virtual": "on a virtual board only",
                "board": "on a real board"}[profile.verified]
    return _pairs([("Name", profile.name), ("Title", profile.title), ("Transport", profile.transport),
                   ("Power figures", origin), ("Verified", verified), ("Rails", rails or "–"),
                   ("Probes", ", ".join(profile.probes) or "–"),
                   ("Opset at most", profile.limits.opset_max or "not known"),
                   ("Recommended meter", profile.recommended_meter or "–"),
                   ("Sources", "; ".join(profile.sources) or "–")],
                  "What the profile claims about this kind of device.")


def _facts_table(facts: DeviceFacts) -> str:
    memory = "–" if facts.memory_bytes is None else f"{facts.memory_bytes / _GIB:.3g} GiB"
    return _pairs([("Model", facts.model or "–"), ("Machine", f"{facts.machine}, {facts.cpu_count} CPUs"),
                   ("CPU", facts.cpu_model or "–"), ("Instruction sets", ", ".join(facts.isa) or "–"),
                   ("Memory", memory), ("System", f"{facts.system}, kernel {facts.kernel}"),
                   ("Python", facts.python),
                   ("Runtimes", ", ".join(f"{name} {version}" for name, version in facts.runtimes) or "none")],
                  "As reported by the agent on the device.")


def _channels(facts: DeviceFacts) -> None:
    st.subheader("What can be read")
    if not facts.channels:
        st.markdown("No power, thermal or clock channel was found.")
        return
    heads = [Cell(html=text) for text in ("Rail or sensor", "Probe", "Quantity", "Kind")]
    lines = [Line(cells=[text_cell(channel.rail), text_cell(channel.probe), text_cell(channel.quantity),
                         text_cell(channel.kind.replace("_", " "))]) for channel in facts.channels]
    st.html(table(heads, lines, caption="Channels that probes on the device can sample during a window."))


def _missing(profile: DeviceProfile | None, facts: DeviceFacts) -> None:
    lines = [(probe, reason) for probe, reason in facts.unavailable]
    if profile is not None:
        lines += [("profile", f"rail {rail} is in the profile but was not found") for rail
                  in missing_rails(profile, facts)]
    if not facts.runtimes:
        lines.append(("runtime", "no runtime was found, so no artifact can be measured"))
    st.subheader("What is missing")
    if not lines:
        st.markdown("Nothing that the profile asks for.")
        return
    st.html(table([Cell(html="Source"), Cell(html="Why")],
                  [Line(cells=[text_cell(name), text_cell(reason, css="wide", limit=LONG_LIMIT)])
                   for name, reason in lines],
                  caption="`lab devices check NAME` asks again and says what to do."))
