"""`lab meters`: external power meters."""

from __future__ import annotations

import json
from dataclasses import asdict

import click


@click.group()
def meters() -> None:
    """Look for external power meters."""


@meters.command("scan")
@click.option("--json", "as_json", is_flag=True)
def scan(as_json: bool) -> None:
    """Show known power meters on this machine's USB ports.

    This version recognises meters but does not read them yet; see docs/measurement.md.
    """
    from lab.cli.show import print_table
    from lab.meters.scan import scan_usb

    found = scan_usb()
    if as_json:
        click.echo(json.dumps([asdict(meter) for meter in found], indent=1))
        return
    if not found:
        click.echo("No known power meter on USB. For boards without a power sensor a USB-C inline meter "
                   "(POWER-Z KM003C, FNIRSI FNB58) between supply and board is the usual choice.")
        return
    print_table("Meters on USB", ("meter", "USB id", "port"),
                [(meter.title, f"{meter.vendor_id:04x}:{meter.product_id:04x}", meter.port) for meter in found])
    click.echo("Reading meters is not part of this version; results stay without their power.")
