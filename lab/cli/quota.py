"""`lab quota`: how much device time each owner may take."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Literal, cast

import click

_HOURS_MAX = 1_000_000.0


@click.group()
def quota() -> None:
    """Share devices fairly: so many hours of device time per owner and day or week."""


@quota.command("set")
@click.argument("owner")
@click.option("--device-hours", type=click.FloatRange(0, _HOURS_MAX, min_open=True), required=True,
              help="Hours of device time, added up over all devices.")
@click.option("--per", "period", type=click.Choice(["day", "week"]), default="day", show_default=True,
              help="Within which time before any moment.")
def set_(owner: str, device_hours: float, period: str) -> None:
    """Let campaigns of OWNER wait whenever their blocks took so much device time within the last day or week.

    A block under way is not interrupted. OWNER is the name in `lab campaigns list`.
    """
    from lab import wiring
    from lab.wiring import by_hand

    with wiring.open_services() as services:
        by_hand.set_quota(services, owner, device_hours, cast("Literal['day', 'week']", period))
    click.echo(f"{owner} may use {device_hours:g} device-hours within a {period}.")


@quota.command("list")
@click.option("--json", "as_json", is_flag=True)
def list_(as_json: bool) -> None:
    """Show every quota and how much of it is used."""
    from lab import wiring
    from lab.campaigns.quotas import hours
    from lab.cli.show import print_table
    from lab.wiring import by_hand

    with wiring.open_services() as services:
        found = by_hand.quotas_in_use(services)
    if as_json:
        click.echo(json.dumps([{**asdict(use.quota), "used_s": use.used_s,
                                "free_utc": use.free_at and use.free_at.isoformat()} for use in found], indent=1))
        return
    if not found:
        click.echo("No quotas: everybody may use what is free. `lab quota set OWNER --device-hours H` sets one.")
        return
    print_table("Quotas", ("owner", "device-hours", "within a", "used", "some comes free (UTC)", "set by"), [
        (use.quota.owner, hours(use.quota.device_s), use.quota.period, hours(use.used_s),
         f"{use.free_at:%Y-%m-%d %H:%M}" if use.free_at else "is free", use.quota.set_by) for use in found])


@quota.command("remove")
@click.argument("owner")
def remove(owner: str) -> None:
    """Let OWNER use what is free again."""
    from lab import wiring

    with wiring.open_store() as store:
        store.remove_quota(owner)
    click.echo(f"{owner} has no quota any more. Campaigns that wait for it go on within 5 minutes.")
