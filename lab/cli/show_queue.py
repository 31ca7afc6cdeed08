"""What the command line prints about queued campaigns."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from lab.domain.summary import Event

from .show import print_table

if TYPE_CHECKING:
    from lab.campaigns.dry_run import DryRun
    from lab.campaigns.standing import Standing

_EVENTS_SHOWN = 12


def print_standing(found: Standing, events: Sequence[Event]) -> None:
    """One campaign, device by device, and the last things that happened to it."""
    click.echo(f"{found.name} ({found.campaign_id}) of {found.owner}: {standing_line(found)}")
    if found.failure:
        click.echo(f"  {found.failure}")
    print_table("", ("device", "worker", "state", "cells", "blocks", "widest ±", "time left", "what"), [
        (each.device, each.agent_host, each.state,
         ", ".join(f"{count} {state}" for state, count in sorted(each.cells.items())),
         f"{each.blocks_done} of {each.blocks_planned}",
         "–" if each.half_width_ratio is None else f"{100 * each.half_width_ratio:.1f} %",
         "–" if each.eta_s is None else duration(each.eta_s), each.text) for each in found.devices])
    told = [event for event in events if event.message][-_EVENTS_SHOWN:]
    for event in told:
        click.echo(f"{event.utc[:19]}  {event.device or 'campaign'}: {event.message}")


def standing_line(found: Standing) -> str:
    """The campaign in one line."""
    devices = "; ".join(f"{each.device} {each.state}{': ' + each.text if each.text else ''}" for each in found.devices)
    left = "" if found.eta_s is None else f", about {duration(found.eta_s)} left"
    failed = f", {found.cells_failed} failed" if found.cells_failed else ""
    return f"{found.state}, {found.cells_done} of {found.cells_total} cells done{failed}{left}. {devices}"


def print_dry_run(found: DryRun, *, as_json: bool) -> None:
    """Cells, artifacts, bytes and time of a campaign that was not queued."""
    if as_json:
        click.echo(json.dumps(asdict(found), indent=1))
        return
    print_table(f"{found.name}: {len(found.cells)} cells", (
        "device", "technique", "seed", "settings", "artifact", "bytes", "measured"), [
        (cell.device, cell.technique, str(cell.seed), cell.settings, (cell.artifact_sha256 or "not made yet")[:12],
         "–" if cell.size_bytes is None else str(cell.size_bytes), "yes" if cell.is_measured else "no")
        for cell in found.cells])
    print_table("\nPer device", ("device", "blocks", "time", "bytes to send at most"), [
        (each.device, span(str(each.blocks_min), str(each.blocks_max)),
         span(duration(each.seconds_min), duration(each.seconds_max)),
         f"{each.send_bytes}" + (f" and {each.artifacts_unknown} artifacts not made yet" if each.artifacts_unknown
                                 else "")) for each in found.devices])
    click.echo(f"\nArtifacts to make: {found.artifacts_to_make}. Nothing was queued.")


def span(low: str, high: str) -> str:
    """A range, or its one value."""
    return low if low == high else f"{low} to {high}"


def duration(seconds: float) -> str:
    """A time as people say it."""
    whole = round(seconds)
    if whole < 90:
        return f"{whole} s"
    if whole < 5400:
        return f"{round(whole / 60)} min"
    return f"{whole / 3600:.1f} h"
