"""Pools: a campaign may name a group of equal devices instead of one; which one measures is decided when it starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lab.domain.campaign import Campaign
from lab.domain.device import Device
from lab.errors import ConfigError
from lab.store.store import Store

POOL = "pool:"


def resolve(campaign_id: str, campaign: Campaign, store: Store) -> Campaign:
    """The campaign with one device for each pool; raises ConfigError for a pool without a usable device.

    A device that measures for the campaign already is kept; else the one with the least work waiting.
    """
    if not any(name.startswith(POOL) for name in campaign.devices):
        return campaign
    chosen: list[str] = [name for name in campaign.devices if not name.startswith(POOL)]
    known = {cell.device for cell in store.cells(campaign_id)}
    for name in campaign.devices:
        if name.startswith(POOL):
            free = [each for each in usable(name, store) if each.name not in chosen]
            chosen.append(_choose(name, free, known, store))
    return replace(campaign, devices=tuple(chosen))


def members(pool: str, store: Store) -> tuple[Device, ...]:
    """Devices of `pool:NAME`; raises ConfigError if there are none."""
    name = pool.removeprefix(POOL)
    found = tuple(device for device in store.devices() if name in device.pools)
    if not found:
        known = sorted({each for device in store.devices() for each in device.pools})
        raise ConfigError(f"devices: pool {name!r} has no devices (known pools: {', '.join(known) or 'none'}). Add one "
                          f"with `lab devices add NAME URL --pool {name}`.")
    return found


def usable(pool: str, store: Store) -> tuple[Device, ...]:
    """Its devices that are neither quarantined nor reserved."""
    return tuple(device for device in members(pool, store)
                 if not store.health(device.name).quarantined_utc and store.reservation(device.name) is None)


def may_move(campaign: Campaign, device: str, store: Store) -> bool:
    """Whether the campaign named a pool of this device and another device of it could take over."""
    pools = [name for name in campaign.devices if name.startswith(POOL)]
    return any(device in {each.name for each in members(pool, store)}
               and any(each.name != device for each in usable(pool, store)) for pool in pools)


def _choose(pool: str, candidates: Sequence[Device], known: set[str], store: Store) -> str:
    if not candidates:
        listed = ", ".join(f"{device.name} ({store.health(device.name).reason or 'reserved'})"
                           for device in members(pool, store))
        raise ConfigError(f"devices: every device of {pool} is set aside or taken: {listed}. Release one with "
                          "`lab devices release NAME`, then `lab campaigns resume`.")
    waiting = {device.name: sum(attempt.state == "queued" for attempt in store.attempts(device=device.name))
               for device in candidates}
    return min(candidates, key=lambda device: (device.name not in known, waiting[device.name])).name
