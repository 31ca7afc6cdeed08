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
@click.option("--agent-host", default="controller", show_default=True, metavar="HOST",
              help="The worker that reaches it: `lab worker --agent-host HOST` there.")
@click.option("--pool", "pools", multiple=True, metavar="POOL", help="A group of equal devices; may be repeated.")
@click.option("--power", "power", multiple=True, metavar="KEY=VALUE",
              help="How its supply is switched, as kind=shelly url=http://… (see docs/queue.md); may be repeated.")
@click.option("--reboot", default=None, metavar="COMMAND",
              help="What reboots it, carried out on the device: 'sudo -n systemctl reboot'.")
@click.option("--accept-key", default=None, metavar="SHA256:…",
              help="Pin the host's key if it has this fingerprint.")
def add(name: str, url: str, *, profile: str | None, python: str | None, accept_key: str | None, agent_host: str,
        pools: tuple[str, ...], power: tuple[str, ...], reboot: str | None) -> None:
    """Register NAME at URL: `local`, `virtual:PROFILE`, or `ssh://[user@]host[:port]`.

    An SSH host whose key is not known yet is refused; the error shows its fingerprint and the command to accept it.
    """
    from lab import wiring

    with wiring.open_services() as services:
        device = wiring.add_device(services, name=name, url=url, profile=profile, python=python,
                                   accept_key=accept_key, agent_host=agent_host, pools=pools,
                                   power=tuple(_pair(text) for text in power), reboot=reboot)
    click.echo(f"Added {device.name}: {device.url}, profile {device.profile}. "
               f"Next: `lab devices check {device.name}`.")


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise click.UsageError(f"--power {text!r}: expected KEY=VALUE, as in --power kind=shelly.")
    return key, value


@devices.command("lock")
@click.argument("name")
@click.option("--for", "duration", default=None, metavar="2h", help="How long, in s, min, h or d; else until released.")
@click.option("--reason", default="", help="What others are told.")
def lock(name: str, duration: str | None, reason: str) -> None:
    """Keep device NAME for yourself: no campaign starts a block there until then."""
    from lab import wiring

    with wiring.open_services() as services:
        until = wiring.lock_device(services, name, duration, reason)
    end = f"{until[:19]} UTC" if until else f"`lab devices release {name}`"
    click.echo(f"{name} is yours until {end}. Blocks that are queued there already (at most two) end first.")


@devices.command("release")
@click.argument("name")
@click.option("--kick", is_flag=True, help="Also if somebody else reserved it, or another lab holds it.")
def release(name: str, *, kick: bool) -> None:
    """Give device NAME back: ends a reservation or a quarantine; campaigns that wait for it go on.

    With --kick the lease ends too that another lab holds on the device itself, and the block that it measures there.
    """
    from lab import wiring
    from lab.wiring import queue

    with wiring.open_services() as services:
        services.store.device(name)
        found = queue.release_device(services, name, kick=kick)
    click.echo(f"{name} is free." + (f" {found}" if found else ""))


@devices.command("reboot")
@click.argument("name")
def reboot(name: str) -> None:
    """Reboot device NAME with the command it was added with (`--reboot`), between blocks."""
    from lab import wiring
    from lab.wiring import by_hand

    with wiring.open_services() as services:
        is_gone = by_hand.reboot_device(services, name)
    click.echo(f"{name} reboots." if is_gone else
               f"{name} carried its command out and still answers: look whether it rebooted.")


@devices.command("fingerprint")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True)
def fingerprint(name: str, as_json: bool) -> None:
    """Show the SSH host key that device NAME presents, as seen from the machine beside it; nothing is accepted."""
    from lab import wiring
    from lab.cli.show import print_host_key
    from lab.wiring import by_hand

    with wiring.open_services() as services:
        device = services.store.device(name)
        found = by_hand.host_key_of(services, name)
    if as_json:
        click.echo(json.dumps(found, indent=1))
    else:
        print_host_key(device, found)


@devices.command("power")
@click.argument("name")
@click.argument("what", type=click.Choice(["on", "off", "cycle"]))
def power(name: str, what: str) -> None:
    """Switch the supply of device NAME, between blocks."""
    from lab import wiring
    from lab.wiring import by_hand

    with wiring.open_services() as services:
        is_on = by_hand.switch_power(services, name, what)
    state = {True: "on", False: "off", None: "not known: the switch cannot be asked"}[is_on]
    click.echo(f"{name}: power is {state}.")


@devices.command("log")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True)
def log(name: str, as_json: bool) -> None:
    """Show who held, reserved or set aside device NAME, newest first."""
    from lab import wiring
    from lab.cli.show import print_table

    with wiring.open_store() as store:
        found = store.grants(name)
    if as_json:
        click.echo(json.dumps([asdict(line) for line in found], indent=1))
        return
    print_table(f"{name}", ("when (UTC)", "what", "who", "detail"),
                [(line.utc[:19], line.event, line.holder, line.detail) for line in found])


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
