"""Registered devices and what their agents said about them."""

from __future__ import annotations

from functools import lru_cache

from lab.domain.device import Device, DeviceFacts
from lab.errors import NotFound

from .codec import from_text, to_text
from .connection import Connection, Row, utc_now
from .suggest import known_names


class DeviceRecords(Connection):
    """The devices of this lab, by name."""

    def save_device(self, device: Device) -> None:
        """Add a device, or change the one of that name."""
        with self._transaction():
            self._write(
                "INSERT INTO devices (name, url, profile, python, agent_host, pools, power, reboot, added_utc) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET url = excluded.url, "
                "profile = excluded.profile, python = excluded.python, agent_host = excluded.agent_host, "
                "pools = excluded.pools, power = excluded.power, reboot = excluded.reboot",
                (device.name, device.url, device.profile, device.python, device.agent_host, to_text(device.pools),
                 to_text(device.power), device.reboot, utc_now()))

    def devices(self, pool: str | None = None) -> tuple[Device, ...]:
        """Every device, or those of one pool, in the order in which they were added."""
        found = tuple(map(_device, self._rows("SELECT * FROM devices ORDER BY added_utc, name")))
        return found if pool is None else tuple(device for device in found if pool in device.pools)

    def device(self, name: str) -> Device:
        """The device of that name; raises NotFound listing the known ones."""
        row = self._row("SELECT * FROM devices WHERE name = ?", (name,))
        if row is None:
            names = [known.name for known in self.devices()]
            raise NotFound(f"there is no device {name!r}; {known_names(name, names, 'device')}, "
                           "and `lab devices add` registers one")
        return _device(row)

    def remove_device(self, name: str) -> None:
        """Forget a device, its health and who reserved it; one added later under its name begins anew.

        Results measured on it stay, with the facts that say on what, and so does the audit. Raises NotFound.
        """
        self.device(name)
        with self._transaction():
            self._write("DELETE FROM devices WHERE name = ?", (name,))
            self._write("DELETE FROM device_health WHERE device = ?", (name,))
            self._write("DELETE FROM reservations WHERE device = ?", (name,))
            self._write("DELETE FROM device_facts WHERE device = ? AND device NOT IN (SELECT device FROM blocks)",
                        (name,))

    def save_facts(self, name: str, facts: DeviceFacts) -> None:
        """Note what the agent said now; earlier facts are kept. Raises NotFound for an unknown device."""
        self.device(name)
        with self._transaction():
            self._insert("device_facts", {"device": name, "facts": to_text(facts), "recorded_utc": utc_now()})

    def facts(self, name: str) -> tuple[DeviceFacts, str] | None:
        """The latest facts and when they were recorded (UTC), or None if nobody has connected yet."""
        row = self._row("SELECT facts, recorded_utc FROM device_facts WHERE device = ? ORDER BY id DESC LIMIT 1",
                        (name,))
        return None if row is None else (_facts(row["facts"]), str(row["recorded_utc"]))


@lru_cache(maxsize=256)
def _facts(text: str) -> DeviceFacts:
    return from_text(DeviceFacts, text)


def _device(row: Row) -> Device:
    return Device(name=row["name"], url=row["url"], profile=row["profile"], python=row["python"],
                  agent_host=row["agent_host"], pools=from_text(tuple[str, ...], row["pools"]),
                  power=from_text(tuple[tuple[str, str], ...], row["power"]), reboot=row["reboot"])
