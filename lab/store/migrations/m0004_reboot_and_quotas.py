"""How a device is rebooted, and how much device time an owner may take."""

from __future__ import annotations

from sqlite_utils import Database


def add_reboot_and_quotas(db: Database) -> None:
    """Add `devices.reboot`, NULL where nobody said how, and the table of quotas, empty: nobody has one."""
    db.table("devices").add_column("reboot", str)
    columns = {"owner": str, "device_s": float, "period": str, "set_by": str, "set_utc": str}
    db.create_table("quotas", columns, pk="owner", not_null=set(columns), strict=True)
