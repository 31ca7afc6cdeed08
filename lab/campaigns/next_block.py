"""What one device measures next for a campaign, decided from the store alone; nothing here touches a device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from lab.analysis.summarise import summarise
from lab.domain.block import BlockOrder, BlockPlan, Cell
from lab.domain.campaign import Campaign
from lab.domain.flags import Severity
from lab.domain.queue import BlockAttempt
from lab.domain.recording import Window
from lab.domain.result import Result
from lab.domain.summary import Event
from lab.errors import MeasurementInvalid

from .base import Services
from .planning import block_plan, groups_of, order_block
from .prepare import fail_cells
from .stopping import first_stage_blocks, needs_more

DEPTH = 2
"""Blocks of one device under way at once: the next one waits in the queue, so the device need not wait for us."""

_DEATHS_MAX = 2
_MISSING_MAX = 2


@dataclass(frozen=True, kw_only=True)
class DeviceWork:
    """One campaign on one device: its cells, artifact hash by cell id, input hash by batch."""

    campaign_id: str
    campaign: Campaign
    device: str
    cells: tuple[Cell, ...]
    artifacts: Mapping[str, str]
    inputs: Mapping[int, str]


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A block to measure, and the cells in it."""

    order: BlockOrder
    expected_ns: int


@dataclass(frozen=True, kw_only=True)
class Spent:
    """Time that a campaign's blocks took on one device, together, and how many they were."""

    ns: int
    blocks: int


def next_blocks(work: DeviceWork, results: Mapping[str, Result], services: Services) -> tuple[Wanted, ...]:
    """Blocks to put into the queue now, none if enough are under way or nothing is left to measure.

    Beyond the block that is needed next, another one only while the stopping rule's first stage makes it certain.
    Cells for which another block cannot help are failed here, with the reason.
    """
    for group in groups_of(work.cells):
        open_cells = _open_cells(work, group, results, services)
        if open_cells:
            return _blocks_of_group(work, group, open_cells, services)
    return ()


def _open_cells(work: DeviceWork, group: Sequence[Cell], results: Mapping[str, Result], services: Services
                ) -> list[Cell]:
    states = services.store.cell_states(work.campaign_id, work.device)
    spent = _spent(work, services)
    ready = [cell for cell in group if cell.id in work.artifacts and states[cell.id][0] != "failed"]
    found = [cell for cell in ready if is_unfinished(cell, results.get(cell.id), work.campaign, services, spent)]
    hopeless = [cell for cell in found if _given_up(work, cell, services)]
    found = [cell for cell in found if cell not in hopeless]
    baseline = group[0]
    lost = baseline.id not in work.artifacts or states[baseline.id][0] == "failed" or baseline in hopeless
    if found and lost:
        _fail(work, found, "the baseline could not be measured, and every block compares with it", services)
        return []
    return found


def _given_up(work: DeviceWork, cell: Cell, services: Services) -> bool:
    """Fail a cell for which another block cannot help; only what came since the campaign was begun or resumed counts.

    So whoever resumes it measures at least once more, and a cell that has blocks of better days gives up as well.
    """
    blocks, events = services.store.cell_blocks(cell.id), services.store.events(work.campaign_id)
    ended = {(attempt.block_id, attempt.attempt): attempt.ended_utc or ""
             for attempt in services.store.attempts(work.campaign_id, work.device)}
    begun_utc = _begun_utc(events)
    last_utc = max((ended.get((block.block_id, block.window.attempt), "") for block in blocks), default="")
    missing = [event.message for event in events
               if event.kind == missing_kind(cell.id) and event.utc > max(begun_utc, last_utc)]
    reason = why_hopeless([block.window for block in blocks]) if last_utc >= begun_utc else None
    if reason is None and len(missing) >= _MISSING_MAX:
        reason = f"{len(missing)} blocks in a row brought no usable recording. Last: {missing[-1]}"
    if reason is not None:
        _fail(work, [cell], reason, services)
    return reason is not None


def missing_kind(cell_id: str) -> str:
    """Kind of the event that says a block brought nothing for this cell."""
    return f"missing {cell_id}"


def _blocks_of_group(work: DeviceWork, group: Sequence[Cell], open_cells: Sequence[Cell], services: Services
                     ) -> tuple[Wanted, ...]:
    wanted = [cell for cell in group if cell.id in work.artifacts and (cell.technique.is_baseline
                                                                       or cell in open_cells)]
    queued = [attempt for attempt in services.store.attempts(work.campaign_id, work.device)
              if attempt.state == "queued"]
    stored = services.store.last_block_number([cell.id for cell in group])
    blocks_done = min(len(services.store.cell_blocks(cell.id)) for cell in open_cells)
    certain = first_stage_blocks(work.campaign.protocol) - blocks_done - len(queued)
    room = min(DEPTH - len(queued), max(certain, 0 if queued else 1))
    first = max([stored, *(attempt.number for attempt in queued)]) + 1
    return tuple(_wanted(work, wanted, number, services) for number in range(first, first + room))


def _wanted(work: DeviceWork, cells: Sequence[Cell], number: int, services: Services) -> Wanted:
    device = services.store.device(work.device)
    profile, _ = services.profile(device.profile)
    ordered = order_block(cells, number, work.campaign.protocol.order_seed)
    # The home's own id keeps block names apart when a deleted LAB_HOME is made anew: the device remembers names.
    plan = block_plan(ordered, campaign_id=f"{services.home_id}/{work.campaign_id}", number=number, attempt=1,
                      artifacts=work.artifacts, inputs=work.inputs, profile=profile)
    plan = replace(plan, attempt=services.store.next_attempt(plan.block_id))
    order = BlockOrder(campaign_id=work.campaign_id, target=device, profile=profile, plan=plan)
    return Wanted(order=order, expected_ns=expected_ns(plan))


def _begun_utc(events: Sequence[Event]) -> str:
    """When the campaign was begun, or resumed last."""
    return max((event.utc for event in events if event.kind == "preparing"), default="")


def _spent(work: DeviceWork, services: Services) -> Spent:
    """What this campaign's blocks took on the device since it was begun or resumed; only queued, they took nothing.

    So a campaign whose budget is spent has it again once somebody resumes it.
    """
    begun_utc = _begun_utc(services.store.events(work.campaign_id))
    took = [_took_ns(attempt) for attempt in services.store.attempts(work.campaign_id, work.device)
            if attempt.ended_utc is None or attempt.ended_utc > begun_utc]
    return Spent(ns=sum(took), blocks=sum(each > 0 for each in took))


def _took_ns(attempt: BlockAttempt) -> int:
    """What it should take, for a block of which nobody saw how long it took."""
    seconds = took_s(attempt)
    if seconds is not None:
        return round(seconds * 1e9)
    return attempt.expected_ns or 0 if attempt.state == "done" else 0


def took_s(attempt: BlockAttempt) -> float | None:
    """Seconds from start to end; None where either is unknown, or the clock was set back in between."""
    if attempt.started_utc is None or attempt.ended_utc is None:
        return None
    begun, ended = (datetime.fromisoformat(text) for text in (attempt.started_utc, attempt.ended_utc))
    seconds = (ended - begun).total_seconds()
    return seconds if seconds >= 0 else None


def _fail(work: DeviceWork, cells: Sequence[Cell], reason: str, services: Services) -> None:
    fail_cells(work.campaign_id, cells, "measure", MeasurementInvalid(reason), services)


def why_hopeless(windows: Sequence[Window]) -> str | None:
    """The reason in words if the model itself is at fault, or its process died time after time; else None."""
    last = windows[-_DEATHS_MAX:]
    died = [window for window in last if any(flag.code == "worker_died" for flag in window.flags)]
    if died:
        return (last[-1].error or "the measuring process died") if len(died) == _DEATHS_MAX else None
    if last and last[-1].error:
        return last[-1].error
    return next((flag.detail for flag in last[-1].flags if flag.severity is Severity.VOID), None) if last else None


def is_unfinished(cell: Cell, result: Result | None, campaign: Campaign, services: Services,
                  spent: Spent | None = None) -> bool:
    """True while the stopping rule asks for another block and the protocol still allows one; without `spent` the
    budget is not looked at.

    The rule plans from the spread of the first stage only, so that looking at the numbers does not narrow them.
    """
    protocol = campaign.protocol
    blocks = services.store.cell_blocks(cell.id)
    if len(blocks) >= protocol.blocks_max:
        return False
    first = blocks[:first_stage_blocks(protocol)]
    seen = summarise(cell, first, services.profile(services.store.device(cell.device).profile)[0]) if first else None
    return needs_more(protocol, result.n_blocks if result else 0, {cell.id: half_width_ratio(seen)},
                      spent.ns if spent else 0, blocks_seen=len(first) or None,
                      blocks_timed=spent.blocks if spent else None).more


def half_width_ratio(result: Result | None) -> float | None:
    """Half-width of the median latency's interval as a part of the median."""
    interval = result.latency_p50_ns if result else None
    if interval is None or interval.low is None or interval.high is None:
        return None
    return (interval.high - interval.low) / 2 / interval.value


def expected_ns(plan: BlockPlan) -> int:
    """How long the block takes if nothing goes wrong; starting a worker is taken as a second."""
    measured_ns = sum(window.warmup_ns + window.length_ns for window in plan.windows)
    return 2 * plan.idle_ns + measured_ns + len(plan.windows) * 1_000_000_000
