"""Finds known power meters among this machine's USB devices by vendor and product id."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

KNOWN_METERS = {
    (0x5FC9, 0x0063): "POWER-Z KM003C (USB-C inline)",
    (0x2E3C, 0x5558): "FNIRSI FNB58 (USB inline)",
    (0x1915, 0xC00A): "Nordic Power Profiler Kit II",
    (0x16D0, 0x0E88): "Joulescope JS110",
    (0x16D0, 0x10BA): "Joulescope JS220",
}
"""USB ids as in the open drivers: km003c-rs, fnirsi-usb-power-data-logger, pc-nrfconnect-ppk,
joulescope_driver's udev rules."""


@dataclass(frozen=True, kw_only=True)
class FoundMeter:
    """One recognised meter; `port` is the kernel's name of its USB port."""

    title: str
    vendor_id: int
    product_id: int
    port: str


def scan_usb(root: Path = Path("/")) -> tuple[FoundMeter, ...]:
    """Known meters under `root`/sys/bus/usb/devices; empty where there is no USB."""
    found = []
    for folder in sorted((root / "sys/bus/usb/devices").glob("*")):
        ids = (_hex_file(folder / "idVendor"), _hex_file(folder / "idProduct"))
        if ids[0] is None or ids[1] is None:
            continue
        title = KNOWN_METERS.get((ids[0], ids[1]))
        if title:
            found.append(FoundMeter(title=title, vendor_id=ids[0], product_id=ids[1], port=folder.name))
    return tuple(found)


def _hex_file(path: Path) -> int | None:
    try:
        return int(path.read_text().strip(), 16)
    except (OSError, ValueError):
        return None
