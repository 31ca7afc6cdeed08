"""What a person does to a device or grants an owner, outside of any campaign; everything of it is audited."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

from lab.campaigns.base import Services
from lab.campaigns.quotas import QuotaUse, quota_use, why_not_now
from lab.domain.queue import Period, Quota
from lab.errors import ConfigError, LabError
from lab.store.connection import utc_now

from .queue import ask_device

_ASK_TIMEOUT_S = 120.0


def reboot_device(services: Services, name: str) -> bool:
    """Have a device carry out its own reboot command, in its turn; returns whether it then stopped answering.

    Raises ConfigError where nobody said how, DeviceBusy while another lab measures there.
    """
    answer = ask_device(services, name, "reboot", {})
    services.store.note_grant(name, "recovered", services.owner, None, "rebooted by a person")
    return bool(answer["is_gone"])


def switch_power(services: Services, name: str, what: str) -> bool | None:
    """Switch a device's supply `on`, `off` or through a `cycle`, in its turn; returns whether it is on, if known."""
    is_on: bool | None = ask_device(services, name, "power", {"do": what})["is_on"]
    services.store.note_grant(name, "switched", services.owner, None, f"power {what} by a person")
    return is_on


def host_key_of(services: Services, name: str) -> dict[str, Any]:
    """The host key that a device presents to whoever connects to it: `type`, `fingerprint`, `standing`."""
    answer: dict[str, Any] = ask_device(services, name, "fingerprint", {}, timeout_s=_ASK_TIMEOUT_S)
    return answer


def kick_lease(services: Services, name: str) -> str:
    """End the lease that another lab holds on the device itself, and its block; returns in words what was found.

    A device that cannot be asked is no error: what this lab knows of it is released all the same.
    """
    try:
        found = ask_device(services, name, "kick", {}, timeout_s=_ASK_TIMEOUT_S)
    except LabError as error:
        return (f"The device itself could not be asked to end another lab's lease: {error} A lease ends by itself, and "
                "with a reboot.")
    if found["holder"] is None and found["block_id"] is None:
        return ""
    whom = found["holder"] or "somebody whose lease had run out"
    block = f", and block {found['block_id']} ended" if found["block_id"] else ""
    services.store.note_grant(name, "kicked", services.owner, found["fence"], f"{whom}, from the device{block}")
    return f"The device was taken from {whom}{block}."


def set_quota(services: Services, owner: str, device_hours: float, period: Period) -> Quota:
    """Give an owner so many hours of device time in any day or week. Raises ConfigError."""
    if not (math.isfinite(device_hours) and device_hours > 0):
        raise ConfigError(f"Quota of {owner}: expected more than 0 device-hours, got {device_hours:g}.")
    if not owner.strip() or not owner.isprintable():
        raise ConfigError(f"Owner {owner!r}: expected the name that stands in their campaigns; `lab campaigns list` "
                          "shows it.")
    quota = Quota(owner=owner, device_s=device_hours * 3600, period=period, set_by=services.owner, set_utc=utc_now())
    services.store.set_quota(quota)
    return quota


def quotas_in_use(services: Services, now: datetime | None = None) -> tuple[QuotaUse, ...]:
    """Every quota and how much of it is used now."""
    now = now or datetime.now(UTC)
    return tuple(quota_use(quota, services.store, now) for quota in services.store.quotas())


def quota_note(services: Services, owner: str) -> str | None:
    """What whoever submits a campaign of this owner should know, or None while no quota holds it back."""
    found = why_not_now(owner, services.store)
    return None if found is None else f"{found[0]} Until then its blocks wait."
