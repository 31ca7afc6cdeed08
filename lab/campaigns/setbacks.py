"""After a device failed: try again later, reboot it, cut its power, set it aside, or say that trying is useless."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from lab.domain.block import Cell
from lab.errors import StoreError
from lab.store.codec import to_text
from lab.store.connection import utc_text

from .base import ProgressEvent, Services, Stage
from .calls import Call, advance_call, plan_call
from .ending import end_campaign
from .pools import may_move
from .prepare import fail_cells
from .quotas import why_not_now
from .recovery import Outcome, Rung, next_rung

BUSY_PAUSE_S = 5.0
"""How soon a device is asked again that somebody else holds, or whose worker cannot reach the shared files."""

RESERVED_PAUSE_S = 30.0
"""How often a device that is reserved until some time is looked at again."""

QUOTA_PAUSE_MAX_S = 300.0
"""How long a changed quota may go unnoticed by campaigns that wait for it."""

_OFF_S = 5.0
_BOOT_S = 45.0


def after_failed_device(campaign_id: str, device: str, cells: Sequence[Cell], stage: Stage, failed: Outcome,
                        again: Call, services: Services) -> list[Call]:
    """What follows a failure of the device itself; `again` is the call that would try once more."""
    store = services.store
    if failed.kind == "DeviceBusy" or (failed.transient and isinstance(failed.as_error(), StoreError)):
        _hold(campaign_id, cells, "waiting", failed.text, services)
        return [replace(again, delay_s=BUSY_PAUSE_S)]
    if not failed.transient:
        fail_cells(campaign_id, cells, stage, failed.as_error(), services)
        return end_campaign(campaign_id, services)
    failures = store.note_failure(device, failed.text).failures
    store.record_failure(campaign_id, None, device, stage, failed.kind, failed.text)
    known = store.device(device)
    rung = next_rung(failures, transient=True, can_reboot=bool(known.reboot), can_power_cycle=bool(known.power))
    pause_s = services.backoff(failures, f"{campaign_id} {device}")
    if rung in {"reboot", "power_cycle"}:
        _hold(campaign_id, cells, "waiting", f"{failed.text} Tried again after a {rung.replace('_', ' ')}.", services)
        return _wake_up(campaign_id, device, rung, failures, again, services)
    if rung == "retry":
        services.listener(ProgressEvent(stage="connect", subject=device,
                                        text=f"{failed.text} Again in {pause_s:.0f} s"))
        _hold(campaign_id, cells, "waiting", f"{failed.text} Tried again after {pause_s:.0f} s.", services)
        return [replace(again, delay_s=pause_s)]
    return _set_aside(campaign_id, device, failures, cells, failed, services)


def kept_back(campaign_id: str, epoch: int, device: str, cells: Sequence[Cell], services: Services,
              now: datetime | None = None) -> list[Call] | None:
    """What to do instead of measuring while a device is quarantined or reserved, or its time used up; None if nothing.

    `now` is this instant in UTC, unless a test says otherwise.
    """
    store = services.store
    now = now or datetime.now(UTC)
    health, held = store.health(device), store.reservation(device, utc_text(now))
    if health.quarantined_utc:
        _hold(campaign_id, cells, "held", f"{device} is quarantined: {health.reason} "
              f"`lab devices release {device}` lets its cells go on.", services)
        return end_campaign(campaign_id, services)
    if held is None:
        return _over_quota(campaign_id, epoch, device, cells, services, now)
    until = "it is released" if held.until_utc is None else f"{held.until_utc[:19]} UTC"
    _hold(campaign_id, cells, "waiting" if held.until_utc else "held",
          f"{device} is reserved by {held.holder} until {until}: {held.reason}", services)
    if held.until_utc is None:
        return end_campaign(campaign_id, services)
    return [replace(advance_call(campaign_id, epoch, device, f"reserved-{utc_text(now)}"), delay_s=RESERVED_PAUSE_S)]


def _over_quota(campaign_id: str, epoch: int, device: str, cells: Sequence[Cell], services: Services, now: datetime
                ) -> list[Call] | None:
    """Wait while the campaign's owner has used what they may; what is under way is not interrupted."""
    found = why_not_now(services.store.head(campaign_id).owner, services.store, now)
    if found is None:
        return None
    reason, free_at = found
    _hold(campaign_id, cells, "waiting", reason, services)
    pause_s = min(max((free_at - now) / timedelta(seconds=1), RESERVED_PAUSE_S), QUOTA_PAUSE_MAX_S)
    return [replace(advance_call(campaign_id, epoch, device, f"quota-{utc_text(now)}"), delay_s=pause_s)]


def _set_aside(campaign_id: str, device: str, failures: int, cells: Sequence[Cell], failed: Outcome,
               services: Services) -> list[Call]:
    """Quarantine: nobody is sent there until a person or a successful check says so."""
    reason = f"{failures} failures in a row, the last one: {failed.text}"
    services.store.quarantine(device, reason)
    services.store.note_grant(device, "quarantined", services.owner, None, reason)
    campaign, _ = services.store.definition(campaign_id)
    if may_move(campaign, device, services.store):
        services.notify(campaign_id, "quarantined", f"{device}: {reason} An equal device takes over.")
        return [plan_call(campaign_id, services.store.next_epoch(campaign_id))]
    _hold(campaign_id, cells, "held", f"{device} is quarantined after {reason} "
          f"Look at it with `lab devices check {device}`; once it works its cells go on.", services)
    services.notify(campaign_id, "quarantined", f"{device}: {reason}")
    return end_campaign(campaign_id, services)


def _wake_up(campaign_id: str, name: str, rung: Rung, failures: int, again: Call, services: Services) -> list[Call]:
    """Reboot the device or cut its power, then try again once it can have come up."""
    services.store.note_grant(name, "recovered", services.owner, None,
                              f"{rung.replace('_', ' ')} after {failures} failures")
    if rung == "reboot":
        return [_action(campaign_id, name, "reboot", {}, failures, again.id, services), replace(again, delay_s=_BOOT_S)]
    switched = _action(campaign_id, name, "power", {"do": "cycle", "off_s": _OFF_S}, failures, again.id, services)
    return [switched, replace(again, delay_s=_OFF_S + _BOOT_S)]


def _action(campaign_id: str, name: str, verb: str, settings: dict[str, Any], failures: int, again_id: str,
            services: Services) -> Call:
    device = services.store.device(name)
    profile, _ = services.profile(device.profile)
    return Call(name="action", id=f"{campaign_id}:{verb}:{name}:{failures}:{again_id}", queue="device",
                args=[verb, to_text(device), to_text(profile), settings], device=name, agent_host=device.agent_host,
                priority=1)


def _hold(campaign_id: str, cells: Sequence[Cell], state: str, reason: str, services: Services) -> None:
    services.store.set_cell_states(campaign_id, [cell.id for cell in cells], state, reason)
