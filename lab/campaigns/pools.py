"""Pools: a campaign may name a group of equal devices instead of one; which one measures is decided when it starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from lab.domain.campaign import Campaign
from lab.domain.device import Device
from lab.errors import ConfigError
from lab.store.store import Store

POOL = "pool:"


def resolve(campaign_id: str, campaign: Campaign, store: Store) -> Campaign:
    """The campaign with one device for each pool; raises ConfigError for a pool without a usable device.

    A device that measures for the campaign already is kept; else the one with the least work waiting, in so far as
    every pool gets one.
    """
    pools = _pools_of(campaign)
    if not pools:
        return campaign
    known = {cell.device for cell in store.cells(campaign_id)}
    chosen, missing = _match([_by_preference(name, campaign, known, store) for name in pools])
    if missing is not None:
        raise ConfigError(_none_left(pools[missing], campaign, store))
    named = [name for name in campaign.devices if not name.startswith(POOL)]
    return replace(campaign, devices=(*named, *chosen))


def members(pool: str, store: Store) -> tuple[Device, ...]:
    """Devices of `pool:NAME`; raises ConfigError if there are none."""
    name = pool.removeprefix(POOL)
    found = store.devices(name)
    if not found:
        known = sorted({each for device in store.devices() for each in device.pools})
        raise ConfigError(f"devices: pool {name!r} has no devices (known pools: {', '.join(known) or 'none'}). Add one "
                          f"with `lab devices add NAME URL --pool {name}`.")
    return found


def usable(pool: str, store: Store) -> tuple[Device, ...]:
    """Its devices that are neither quarantined nor reserved, none if it has none."""
    return tuple(device for device in store.devices(pool.removeprefix(POOL)) if _why_not(device.name, store) is None)


def may_move(campaign: Campaign, device: str, store: Store) -> bool:
    """Whether the campaign named a pool of this device, not itself, and every pool gets a device without this one."""
    pools = _pools_of(campaign)
    in_pool = any(device in {each.name for each in store.devices(name.removeprefix(POOL))} for name in pools)
    if not in_pool or device in campaign.devices:
        return False
    others = [[name for name in _by_preference(pool, campaign, set(), store) if name != device] for pool in pools]
    return _match(others)[1] is None


def _pools_of(campaign: Campaign) -> list[str]:
    return [name for name in campaign.devices if name.startswith(POOL)]


def _by_preference(pool: str, campaign: Campaign, known: set[str], store: Store) -> list[str]:
    """The pool's devices that could measure for the campaign, the best first."""
    free = [device.name for device in usable(pool, store) if device.name not in campaign.devices]
    waiting = {name: sum(attempt.state == "queued" for attempt in store.attempts(device=name)) for name in free}
    return sorted(free, key=lambda name: (name not in known, waiting[name]))


def _match(wishes: Sequence[Sequence[str]]) -> tuple[list[str], int | None]:
    """A device for each wish, no device twice, and the first wish that cannot be had (Kuhn's augmenting paths)."""
    owners: dict[str, int] = {}
    for wish in range(len(wishes)):
        if not _give(wish, wishes, owners, set()):
            return [], wish
    by_wish: Mapping[int, str] = {wish: name for name, wish in owners.items()}
    return [by_wish[wish] for wish in range(len(wishes))], None


def _give(wish: int, wishes: Sequence[Sequence[str]], owners: dict[str, int], asked: set[str]) -> bool:
    """A device that is free, or that its owner can do without."""
    for name in sorted(wishes[wish], key=owners.__contains__):
        if name in asked:
            continue
        asked.add(name)
        if name not in owners or _give(owners[name], wishes, owners, asked):
            owners[name] = wish
            return True
    return False


def _why_not(name: str, store: Store) -> str | None:
    """Why a device may not be used now, in words."""
    health, held = store.health(name), store.reservation(name)
    if health.quarantined_utc:
        return f"quarantined: {health.reason}"
    return None if held is None else f"reserved by {held.holder}: {held.reason}"


def _none_left(pool: str, campaign: Campaign, store: Store) -> str:
    listed = ", ".join(f"{device.name} ({_why_not(device.name, store) or 'measures for this campaign already'})"
                       for device in members(pool, store))
    return (f"campaign {campaign.name}: no device of {pool} is left: {listed}. Release one with "
            "`lab devices release NAME` or add one to the pool, then `lab campaigns resume`.")
