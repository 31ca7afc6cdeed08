"""`lab campaigns`: queue campaigns and look after them."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path

import click

_PRIORITY = click.IntRange(1, 1000)


@click.group()
def campaigns() -> None:
    """Queue campaigns, watch them, stop them, go on with them."""


@campaigns.command("submit")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--priority", type=_PRIORITY, default=10, show_default=True, help="1 goes first.")
@click.option("--dry-run", is_flag=True, help="Print cells, artifacts, bytes to send and time; queue nothing.")
@click.option("--json", "as_json", is_flag=True)
def submit(file: Path, priority: int, *, dry_run: bool, as_json: bool) -> None:
    """Put the campaign in FILE into the queue. A worker (`lab worker`, or any `lab run`) takes it from there."""
    from lab import wiring
    from lab.cli.show_queue import print_dry_run
    from lab.config.campaign import load_campaign
    from lab.wiring import by_hand, queue

    campaign = load_campaign(file)
    with wiring.open_services() as services:
        if dry_run:
            print_dry_run(queue.dry_run(services, campaign), as_json=as_json)
            return
        with queue.open_engine(services) as engine:
            campaign_id = engine.submit(campaign, file.read_text(encoding="utf-8"), priority=priority)
            is_worked = any(line.is_alive and "controller" in line.roles for line in engine.workers())
        note = by_hand.quota_note(services, campaign.owner)
    if as_json:
        click.echo(json.dumps({"campaign_id": campaign_id, "name": campaign.name, "note": note}))
        return
    click.echo(f"Queued {campaign.name} ({campaign_id}). Watch it with `lab campaigns watch {campaign_id}`.")
    if note:
        click.echo(note)
    if not is_worked:
        click.echo("Nobody works on the queue yet: start `lab worker`.")


@campaigns.command("list")
@click.option("--json", "as_json", is_flag=True)
def list_(as_json: bool) -> None:
    """Show every campaign and how far it is."""
    from lab import wiring
    from lab.cli.show import print_table

    with wiring.open_store() as store:
        found = store.campaigns()
    if as_json:
        click.echo(json.dumps([asdict(each) for each in found], indent=1))
        return
    if not found:
        click.echo("No campaigns yet. `lab demo` measures a first one; `lab campaigns submit FILE` queues yours.")
        return
    print_table("Campaigns", ("id", "name", "owner", "priority", "state", "cells done", "failed", "created (UTC)"), [
        (each.id, each.name, each.owner, str(each.priority), each.state, f"{each.cells_done} of {each.cells_total}",
         str(each.cells_failed), each.created_utc[:19]) for each in found])


@campaigns.command("show")
@click.argument("campaign")
@click.option("--json", "as_json", is_flag=True)
def show(campaign: str, as_json: bool) -> None:
    """Show where CAMPAIGN (name, id or beginning of an id) stands, device by device, and what happened to it."""
    from lab import wiring
    from lab.cli.show_queue import print_standing
    from lab.wiring import queue

    with wiring.open_services() as services:
        found = queue.look(services, campaign)
        events = services.store.events(found.campaign_id)
    if as_json:
        click.echo(json.dumps({**asdict(found), "events": [asdict(event) for event in events]}, indent=1))
        return
    print_standing(found, events)


@campaigns.command("watch")
@click.argument("campaign")
def watch(campaign: str) -> None:
    """Follow CAMPAIGN until it has ended; whoever works on it. Exit code 1 unless every cell is measured."""
    from lab import wiring
    from lab.cli.show_queue import standing_line
    from lab.wiring import queue

    last = ""
    with wiring.open_services() as services, queue.open_engine(services) as engine:
        campaign_id = services.store.campaign(campaign).id
        while True:
            found = queue.look(services, campaign_id)
            line = standing_line(found)
            if line != last:
                click.echo(line)
                last = line
            if queue.has_ended(engine, campaign_id):
                break
            time.sleep(1.0)
    if found.state != "done":
        raise SystemExit(1)


@campaigns.command("cancel")
@click.argument("campaign")
def cancel(campaign: str) -> None:
    """Stop CAMPAIGN. A running block ends on its device; what was measured stays."""
    from lab import wiring
    from lab.campaigns.states import CAMPAIGN_OVER
    from lab.wiring import queue

    with wiring.open_services() as services, queue.open_engine(services) as engine:
        summary = services.store.campaign(campaign)
        if summary.state in CAMPAIGN_OVER:
            click.echo(f"{summary.name} ({summary.id}) is {summary.state} already; nothing to cancel.")
            return
        engine.cancel(summary.id)
    click.echo(f"Cancelled {summary.name} ({summary.id}). `lab campaigns resume {summary.id}` goes on with it.")


@campaigns.command("resume")
@click.argument("campaign")
def resume(campaign: str) -> None:
    """Go on with CAMPAIGN: everything that has no result yet, failed cells too."""
    _go_on(campaign, only_failed=False)


@campaigns.command("retry")
@click.argument("campaign")
@click.option("--only-failed", is_flag=True, help="Refuse unless cells have failed.")
def retry(campaign: str, *, only_failed: bool) -> None:
    """Try the cells of CAMPAIGN again that have no result."""
    _go_on(campaign, only_failed=only_failed)


@campaigns.command("priority")
@click.argument("campaign")
@click.argument("priority", type=_PRIORITY)
def priority(campaign: str, priority: int) -> None:
    """Give CAMPAIGN another priority, from its next block on; 1 goes first."""
    from lab import wiring

    with wiring.open_store() as store:
        summary = store.campaign(campaign)
        store.set_priority(summary.id, priority)
    click.echo(f"{summary.name} ({summary.id}) has priority {priority} from its next block on.")


def _go_on(campaign: str, *, only_failed: bool) -> None:
    from lab import wiring
    from lab.errors import ConfigError
    from lab.wiring import queue

    with wiring.open_services() as services, queue.open_engine(services) as engine:
        summary = services.store.campaign(campaign)
        if only_failed and not summary.cells_failed:
            raise ConfigError(f"Campaign {summary.name} ({summary.id}) has no failed cells: {summary.cells_done} of "
                              f"{summary.cells_total} are done. `lab campaigns resume` goes on with the others.")
        engine.resume(summary.id)
    click.echo(f"{summary.name} ({summary.id}) goes on. Watch it with `lab campaigns watch {summary.id}`.")
