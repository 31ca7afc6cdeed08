"""`lab devices`: register, look at and check devices."""

from __future__ import annotations

import json
from dataclasses import asdict

import click


@click.group()
def devices() -> None:
    """Register devices and look at them."""


@devices.command("add")
@click.argument("name")
@click.argument("url")
@click.option("--profile", default=None, help="Kind of board; default x86-host for local, linux-sbc for ssh.")
@click.option("--python", default=None, help="Python on the device, if not the first python3 ≥ 3.9 found.")
@click.option("--accept-key", default=None, metavar="SHA256:…",
              help="Pin the host's key if it has this fingerprint.")
def add(name: str, url: str, profile: str | None, python: str | None, accept_key: str | None) -> None:
    """Register NAME at URL: `local`, `virtual:PROFILE`, or `ssh://[user@]host[:port]`.

    An SSH host whose key is not known yet is refused; the error shows its fingerprint and the command to accept it.
    """
    from lab import wiring

    with wiring.open_services() as services:
        device = wiring.add_device(services, name=name, url=url, profile=profile, python=python,
                                   accept_key=accept_key)
    click.echo(f"Added {device.name}: {device.url}, profile {device.profile}. "
               f"Next: `lab devices check {device.name}`.")


@devices.command("list")
@click.option("--json", "as_json", is_flag=True)
def list_(as_json: bool) -> None:
    """Show registered devices."""
    from lab import wiring
    from lab.cli.show import print_table

    with wiring.open_store() as store:
        found = store.devices()
    if as_json:
        click.echo(json.dumps([asdict(device) for device in found], indent=1))
        return
    if not found:
        click.echo("No devices yet. `lab demo` adds this machine and a virtual board; `lab devices add` adds yours.")
        return
    print_table("Devices", ("name", "address", "profile"), [(d.name, d.url, d.profile) for d in found])


@devices.command("show")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True)
def show(name: str, as_json: bool) -> None:
    """Show what is known about device NAME without connecting to it."""
    from lab import wiring
    from lab.cli.show import print_device

    with wiring.open_services() as services:
        device = services.store.device(name)
        profile, _ = services.profile(device.profile)
        known = services.store.facts(name)
    if as_json:
        facts = {"facts": asdict(known[0]), "facts_utc": known[1]} if known else {"facts": None, "facts_utc": None}
        click.echo(json.dumps({"device": asdict(device), "profile": asdict(profile), **facts}, indent=1))
        return
    print_device(device, profile, known)


@devices.command("check")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True)
def check(name: str, as_json: bool) -> None:
    """Connect to device NAME and say what it can and cannot measure."""
    from lab import wiring
    from lab.cli.show import print_check

    with wiring.open_services() as services:
        lines = wiring.check_device(services, name)
    if as_json:
        click.echo(json.dumps([asdict(line) for line in lines], indent=1))
    else:
        print_check(name, lines)
    if any(line.status == "fail" for line in lines):
        raise SystemExit(1)


@devices.command("remove")
@click.argument("name")
def remove(name: str) -> None:
    """Forget device NAME; its results stay."""
    from lab import wiring

    with wiring.open_store() as store:
        store.device(name)
        store.remove_device(name)
    click.echo(f"Removed {name}. Its results stay in the database.")
