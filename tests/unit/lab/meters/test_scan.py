"""Meters on USB are recognised by their ids; anything else is not a meter."""

from __future__ import annotations

import pytest

from lab.meters.scan import KNOWN_METERS, scan_usb


def plug(root, port, vendor, product):
    folder = root / "sys/bus/usb/devices" / port
    folder.mkdir(parents=True)
    (folder / "idVendor").write_text(f"{vendor:04x}\n")
    (folder / "idProduct").write_text(f"{product:04x}\n")


@pytest.mark.parametrize("ids", KNOWN_METERS)
def test_every_known_meter_is_found(tmp_path, ids):
    """Its title, ids and port are reported."""
    plug(tmp_path, "1-2", *ids)
    (meter,) = scan_usb(tmp_path)
    assert (meter.title, meter.vendor_id, meter.product_id, meter.port) == (KNOWN_METERS[ids], *ids, "1-2")


def test_a_keyboard_is_not_a_meter(tmp_path):
    """Unknown ids are left out."""
    plug(tmp_path, "1-1", 0x046D, 0xC31C)
    assert scan_usb(tmp_path) == ()


def test_a_machine_without_usb_has_no_meters(tmp_path):
    """No folder is not an error."""
    assert scan_usb(tmp_path) == ()


def test_unreadable_ids_are_skipped(tmp_path):
    """An interface folder has no ids, and a broken one may hold anything."""
    (tmp_path / "sys/bus/usb/devices/1-1:1.0").mkdir(parents=True)
    broken = tmp_path / "sys/bus/usb/devices/1-3"
    broken.mkdir()
    (broken / "idVendor").write_text("zz")
    (broken / "idProduct").write_text("")
    assert scan_usb(tmp_path) == ()
