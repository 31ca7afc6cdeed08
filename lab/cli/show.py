"""What the command line prints: tables for people, JSON for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import click
from rich.console import Console
from rich.table import Table as RichTable

from lab.devices.doctor import CheckLine
from lab.domain.artifact import StepOutcome
from lab.domain.device import Device, DeviceFacts, DeviceProfile, Origin
from lab.domain.metrics import METRICS
from lab.domain.result import ResultRow
from lab.reports.figures import Figure, figures_of
from lab.reports.table import ABSENT, Table, results_table

_WIDTH_WITHOUT_TERMINAL = 180
_MARKS = {"ok": "ok", "warn": "note", "fail": "FAIL"}


def console() -> Console:
    """Standard output; wide enough for a table where it is not a terminal."""
    plain = Console(highlight=False, markup=False)
    return plain if plain.is_terminal else Console(highlight=False, markup=False, width=_WIDTH_WITHOUT_TERMINAL)


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A plain table; cells are printed as they are, never as markup."""
    table = RichTable(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for number, column in enumerate(columns):
        table.add_column(column, justify="left", overflow="fold", no_wrap=number == 0)
    for row in rows:
        table.add_row(*row)
    console().print(table)


def print_results(rows: Sequence[ResultRow], *, as_json: bool) -> None:
    """The comparison of one campaign, one table per device, or everything as JSON."""
    if as_json:
        from lab.reports.json_export import rows_to_json

        click.echo(rows_to_json(rows))
        return
    for device in dict.fromkeys(row.device for row in rows):
        mine = [row for row in rows if row.device == device]
        table = results_table(mine)
        kept = [at for at, column in enumerate(table.columns) if _is_worth_a_column(column, table, at)]
        print_table(f"\n{mine[0].campaign} on {device} ({mine[0].profile}), protocol {mine[0].preset}; "
                    "[ ] is the 95 % interval", [table.columns[at] for at in kept],
                    [[line[at] for at in kept] for line in table.cells])


def _is_worth_a_column(column: str, table: Table, at: int) -> bool:
    """The title says what all lines share; a ratio of energies that nobody has says nothing the energies don't."""
    found = {line[at] for line in table.cells}
    return not (column == "Device" or (column == "Settings" and len(found) == 1)
                or (column.startswith("Energy vs") and found == {ABSENT}))


def say_what_is_missing(rows: Sequence[ResultRow]) -> None:
    """Below a table: what its flags mean, once each, and what would change a missing energy."""
    flags = {flag.code: flag for row in rows if row.result for flag in row.result.flags}
    if not flags:
        return
    click.echo("\nNotes")
    for flag in flags.values():
        click.echo(f"  {flag.code}: {flag.detail}")
    if "no_power_source" in flags:
        click.echo("  To measure energy: use a board with sensors, or put a USB-C meter between supply and board "
                   "(`lab meters scan` shows what is plugged in).")


def print_device(device: Device, profile: DeviceProfile, known: tuple[DeviceFacts, str] | None) -> None:
    """Everything known about a device without asking it."""
    rows = [("address", device.url), ("reached by", device.agent_host), ("pools", ", ".join(device.pools) or "none"),
            ("power switch", " ".join(f"{key}={value}" for key, value in device.power) or "none"),
            ("rebooted by", device.reboot or "nothing"), ("profile", f"{profile.name}: {profile.title}"),
            ("verified", profile.verified), ("power figures", profile.origin.value),
            ("recommended meter", profile.recommended_meter or "none needed")]
    if known:
        facts, when = known
        rows += [("last seen", when), ("machine", f"{facts.cpu_model} × {facts.cpu_count} ({facts.machine})"),
                 ("system", f"{facts.system} {facts.kernel}"), ("python", facts.python),
                 ("runtimes", ", ".join(f"{name} {version}" for name, version in facts.runtimes) or "none"),
                 ("can read", ", ".join(f"{channel.rail} {channel.quantity}" for channel in facts.channels) or ABSENT)]
        rows += [(f"cannot: {probe}", reason) for probe, reason in facts.unavailable]
    else:
        rows.append(("last seen", f"never; run `lab devices check {device.name}`"))
    print_table(f"Device {device.name}", ("what", "value"), rows)


def print_host_key(device: Device, seen: Mapping[str, str]) -> None:
    """The host key that a device presents, what is known of it, and what to do about it."""
    known = {"known": "It is the key that is known there.", "unknown": "No key of this device is known there.",
             "changed": "ANOTHER key is known there: somebody may be in between, or the device was set up anew.",
             "revoked": "It is marked as revoked: do not connect."}[seen["standing"]]
    kind = seen["type"].removeprefix("ssh-").partition("-")[0]
    click.echo(f"{device.name} presents {seen['type']} {seen['fingerprint']} to {device.agent_host}. {known}")
    if seen["standing"] in {"unknown", "changed"}:
        click.echo(f"Compare it with `ssh-keygen -lf /etc/ssh/ssh_host_{kind}_key.pub` on the device. Accept it with "
                   f"`lab devices add {device.name} {device.url} --accept-key {seen['fingerprint']}` and the options "
                   "that the device has.")


def print_check(name: str, lines: Sequence[CheckLine]) -> None:
    """The doctor's report."""
    print_table(f"Check of {name}", ("", "what", "found"),
                [(_MARKS[line.status], line.name, line.text) for line in lines])


def print_cell(row: ResultRow, lineage: Sequence[StepOutcome]) -> None:
    """One cell: how it was made, step by step with what each step had to say, and every figure that was measured."""
    print_table(f"{row.campaign}/{row.technique}/{row.device}", ("figure", "value"), list(_cell_rows(row)))
    if not lineage:
        return
    keys = ("accuracy_ratio", "size_bytes", "parameters", "macs")
    print_table("\nHow the artifact was made",
                ("step", *(f"{METRICS[key].label} ({METRICS[key].unit})" for key in keys), "seconds"),
                [(step.step, *(METRICS[key].show(getattr(step, key)) for key in keys),
                  f"{step.duration_ns / 1e9:.1f}") for step in lineage])
    for step in lineage:
        for note in step.notes:
            console().print(f"  {step.step}: {note}", soft_wrap=True)


def _cell_rows(row: ResultRow) -> list[tuple[str, str]]:
    found = [("artifact", row.artifact_sha256 or ABSENT), ("seed", str(row.seed)), ("settings", row.settings),
             ("protocol", row.preset), ("state", row.failure or row.state)]
    found += [(METRICS[figure.key].label if figure.key in METRICS else figure.key.replace("_", " "),
               figure_text(figure))
              for figure in figures_of(row) if figure.value is not None]
    result = row.result
    if result is None:
        return found
    found += [("power covers", result.power_scope or ABSENT), ("power is", result.power_origin or ABSENT),
              ("blocks", str(result.n_blocks)), ("inferences", str(result.n_inferences)),
              ("verdict", result.verdict.value), ("cell", result.cell_id)]
    return found + [(f"flag {flag.code}", f"{flag.severity}: {flag.detail}") for flag in result.flags]


def figure_text(figure: Figure) -> str:
    """One figure with interval and unit, in the metric's display unit where it has one."""
    metric = METRICS.get(figure.key)
    values = [value for value in (figure.value, figure.low, figure.high) if value is not None]
    shown = [metric.show(value) if metric else f"{value:.4g}" for value in values]
    unit = metric.unit if metric else figure.unit.removeprefix("1")
    interval = f" [{shown[1]}, {shown[2]}]" if len(shown) == 3 else ""
    origin = "" if figure.origin in {None, Origin.MEASURED} else f" ({figure.origin})"
    return f"{shown[0]}{interval} {unit}{origin}".strip()
