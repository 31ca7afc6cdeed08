"""A block's outcome at the controller: its recordings into the database, and what follows."""

from __future__ import annotations

import json
from dataclasses import replace

from lab.domain.block import BlockManifest
from lab.domain.queue import AttemptState, BlockAttempt
from lab.errors import MeasurementInvalid, StoreError
from lab.store.connection import utc_now
from lab.store.instants import before

from .base import ProgressEvent, Services, Shared
from .block import host_spool
from .calls import Call, Json
from .ending import end_campaign, open_cells
from .ingest import ingest
from .next_block import missing_kind
from .order_json import manifest_from_json
from .prepare import fail_cells
from .recovery import error_outcome, outcome_from_json
from .setbacks import after_failed_device
from .sharing import not_handed_over, put_artifacts_again

_ATTEMPTS_MAX = 2
_TOOK_MAX_NS = 365 * 86_400 * 10**9


def take_block(campaign_id: str, epoch: int, order: Json, tries: int, outcome: Json, services: Services, *,
               is_current: bool) -> list[Call] | None:
    """Ingest a block; returns the calls that follow, or None if the device simply goes on with what is next.

    Recordings are ingested also when the campaign was stopped or resumed meanwhile (`is_current` false); then nothing
    follows from them. A block that failed on the way to the device is tried again as the same attempt, so that what
    the device measured meanwhile is collected and not repeated.
    """
    store = services.store
    brief = brief_of(order)
    took_ns = min(max(int(outcome.get("elapsed_ns") or 0), 0), _TOOK_MAX_NS)
    manifest = None if outcome.get("error") else manifest_from_json(outcome["manifest"])
    away = None if manifest is None else not_handed_over(manifest, outcome, services)
    if manifest is None or away is not None:
        failed = outcome_from_json(outcome["error"] if away is None else error_outcome(away))
        if not is_current:
            return []
        if brief["device"] not in {device.name for device in store.devices()}:  # removed meanwhile: nobody to blame
            store.end_attempt(brief["block_id"], brief["attempt"], "failed", error=failed.text, took_ns=took_ns)
            return None
        failed = put_artifacts_again(order, failed, services)
        again = block_call(campaign_id, epoch, order, tries + 1, services.store.head(campaign_id).priority)
        calls = after_failed_device(campaign_id, brief["device"], open_cells(campaign_id, brief["device"], services),
                                    "measure", failed, again, services)
        if again.id not in {call.id for call in calls}:
            store.end_attempt(brief["block_id"], brief["attempt"], "failed", error=failed.text,
                              error_kind=failed.kind, transient=failed.transient, took_ns=took_ns)
        return calls
    take_recordings(campaign_id, manifest, services, is_shared=bool(outcome.get("shared")))
    store.end_attempt(manifest.block_id, manifest.attempt, _state_of(manifest), error=manifest.error,
                      took_ns=took_ns)
    holder = str(outcome.get("owner") or services.owner)[:200]
    block = f"block {manifest.block_id}"
    store.note_grant(brief["device"], "granted", holder, manifest.fence, block, before(utc_now(), took_ns))
    store.note_grant(brief["device"], "released", holder, manifest.fence, f"{block} {manifest.state}")
    if not is_current:
        return []
    if manifest.state == "done":
        _note_missing(campaign_id, brief, services)
        store.note_success(brief["device"])
        return None
    return _after_broken_block(campaign_id, epoch, order, manifest, services)


def brief_of(order: Json) -> Json:
    """What the controller needs to know of a block: block_id, attempt, number, device, cells."""
    plan = order["plan"]
    return {"block_id": plan["block_id"], "attempt": plan["attempt"], "number": plan["number"],
            "device": json.loads(order["target"])["name"], "cells": [window["cell_id"] for window in plan["windows"]]}


def block_call(campaign_id: str, epoch: int, order: Json, tries: int, priority: int) -> Call:
    """The call that has an order's block measured."""
    target, plan = json.loads(order["target"]), order["plan"]
    return Call(name="block", id=f"{campaign_id}:{epoch}:block:{plan['block_id']}:{plan['attempt']}:{tries}",
                queue="device", args=[campaign_id, epoch, order, tries], device=target["name"],
                agent_host=target["agent_host"], priority=priority)


def take_recordings(campaign_id: str, manifest: BlockManifest, services: Services, *, is_shared: bool) -> None:
    """Recordings into the database, from the shared files if they came from another machine; idempotent.

    A worker whose next block ends before this one is taken hands it over a second time; what is kept by then is no
    longer among the shared files. Raises StoreError while those are out of reach.
    """
    shared = services.shared if is_shared else None
    if shared is None:
        if host_spool(services).manifest(manifest.block_id) is not None:  # else an earlier call has ingested it
            _take(campaign_id, manifest, services, None)
        return
    missing = tuple(entry for entry in manifest.entries if not services.store.has_window(entry.sha256))
    if missing:
        _take(campaign_id, replace(manifest, entries=missing), services, shared)
    for entry in manifest.entries:
        shared.remove("recordings", entry.sha256)


def _take(campaign_id: str, manifest: BlockManifest, services: Services, shared: Shared | None) -> None:
    """Ingest a block, or put it aside and say why."""
    spool = host_spool(services)
    try:
        if shared is not None:
            _pull(campaign_id, manifest, services, shared)
        ingest(campaign_id, manifest, services)
    except StoreError as error:
        if error.transient:
            raise
        spool.fulfil(manifest)
        place = spool.reject(manifest)
        services.listener(ProgressEvent(stage="analyse", subject=manifest.device,
                                        text=f"block {manifest.block_id} is unusable ({error}); it is in {place}"))
        services.store.record_failure(campaign_id, None, manifest.device, "analyse", "recording",
                                      f"{error} Its recordings are in {place}.")


def _pull(campaign_id: str, manifest: BlockManifest, services: Services, shared: Shared) -> None:
    """A block's recordings from the shared files into this host's spool."""
    spool = host_spool(services)
    for entry in manifest.entries:
        target = spool.window_file(manifest.block_id, entry.sha256)
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        shared.pull("recordings", entry.sha256, target)
    spool.finish(campaign_id, manifest)


def _note_missing(campaign_id: str, brief: Json, services: Services) -> None:
    """Which of the block's cells it brought nothing for, and why."""
    store = services.store
    events = store.events(campaign_id)
    for cell_id in brief["cells"]:
        came = any((block.block_id, block.window.attempt) == (brief["block_id"], brief["attempt"])
                   for block in store.cell_blocks(cell_id))
        if not came:
            said = next((event.message for event in reversed(events) if event.cell_id == cell_id),
                        f"the device sent none for it; look at it with `lab devices check {brief['device']}`")
            store.record_failure(campaign_id, None, brief["device"], "measure", missing_kind(cell_id), said)
            store.set_cell_state(campaign_id, cell_id, "measuring")


def _after_broken_block(campaign_id: str, epoch: int, order: Json, manifest: BlockManifest, services: Services
                        ) -> list[Call]:
    """The device broke the block off by itself: once more as a new attempt, then its cells fail."""
    if manifest.error:
        services.store.record_failure(campaign_id, None, manifest.device, "measure", "block",
                                      f"Block {manifest.number}: {manifest.error}")
    if manifest.attempt % _ATTEMPTS_MAX:  # attempts go on counting when the campaign is resumed
        return [_next_attempt(campaign_id, epoch, order, services)]
    cells = open_cells(campaign_id, manifest.device, services)
    error = MeasurementInvalid(
        f"Block {manifest.number} on {manifest.device} ended as {manifest.state!r} {_ATTEMPTS_MAX} times"
        f"{': ' + manifest.error if manifest.error else ''}. Expected it to end by itself. Look at the device with "
        f"`lab devices check {manifest.device}`; `lab campaigns retry` goes on from here.")
    fail_cells(campaign_id, cells, "measure", error, services)
    return end_campaign(campaign_id, services)


def _next_attempt(campaign_id: str, epoch: int, order: Json, services: Services) -> Call:
    """The same block once more, from its beginning."""
    plan = order["plan"]
    attempt = services.store.next_attempt(plan["block_id"])
    again = {**order, "plan": {**plan, "attempt": attempt}}
    services.store.queue_attempt(BlockAttempt(
        block_id=plan["block_id"], attempt=attempt, campaign_id=campaign_id, device=brief_of(order)["device"],
        number=plan["number"], state="queued", expected_ns=None, queued_utc=utc_now()))
    return block_call(campaign_id, epoch, again, 1, services.store.head(campaign_id).priority)


def _state_of(manifest: BlockManifest) -> AttemptState:
    if manifest.state == "done":
        return "done"
    return "cancelled" if manifest.state == "cancelled" else "failed"
