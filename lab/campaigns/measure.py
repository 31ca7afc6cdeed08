"""Blocks on one device until the stopping rule is satisfied."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from lab.analysis.summarise import summarise
from lab.domain.block import BlockPlan, Cell
from lab.domain.campaign import Campaign
from lab.domain.flags import Severity
from lab.domain.recording import Window
from lab.domain.result import Result
from lab.errors import DeviceError, MeasurementInvalid

from .base import BlockOrder, ProgressEvent, Services
from .block import ingest, run_block
from .conclude import conclude_device
from .planning import block_plan, groups_of, order_block
from .prepare import fail_cells
from .stopping import first_stage_blocks, needs_more

_ATTEMPTS_MAX = 2


def measure_device(campaign_id: str, campaign: Campaign, cells: Sequence[Cell], artifacts: Mapping[str, str],
                   inputs: Mapping[int, str], services: Services) -> None:
    """All cells of one device, group after group; raises DeviceError when the device cannot go on.

    `artifacts` is the artifact hash by cell id, `inputs` the hash of the sample input by batch.
    """
    for group in groups_of(cells):
        ready = [cell for cell in group if cell.id in artifacts]
        if ready and ready[0].technique.is_baseline:
            _measure_group(campaign_id, campaign, ready, artifacts, inputs, services)


def _measure_group(campaign_id: str, campaign: Campaign, group: Sequence[Cell], artifacts: Mapping[str, str],
                   inputs: Mapping[int, str], services: Services) -> None:
    spent_ns = 0
    broken: set[str] = set()
    results = conclude_device(campaign_id, group, services)
    while True:
        unfinished = [cell for cell in group if cell.id not in broken
                      and is_unfinished(cell, results.get(cell.id), campaign, services, spent_ns)]
        if not unfinished or group[0].id in broken:
            return
        wanted = [cell for cell in group if cell.technique.is_baseline or cell in unfinished]
        for cell in wanted:
            services.store.set_cell_state(campaign_id, cell.id, "measuring")
        number = 1 + _last_number(group, services)
        begun_ns = time.monotonic_ns()
        _measure_block(campaign_id, order_block(wanted, number, campaign.protocol.order_seed), number, artifacts,
                       inputs, services)
        spent_ns += time.monotonic_ns() - begun_ns
        broken |= _fail_broken(campaign_id, wanted, services)
        results = conclude_device(campaign_id, group, services)


def _fail_broken(campaign_id: str, cells: Sequence[Cell], services: Services) -> set[str]:
    """Cells whose last window says that measuring again cannot help; their reason goes into the store."""
    broken = set()
    for cell in cells:
        blocks = services.store.cell_blocks(cell.id)
        reason = why_hopeless(blocks[-1].window) if blocks else None
        if reason:
            broken.add(cell.id)
            fail_cells(campaign_id, [cell], "measure", MeasurementInvalid(reason), services)
    return broken


def why_hopeless(window: Window) -> str | None:
    """The reason in words if the model itself is at fault; None if the window is good or another may be."""
    codes = {flag.code for flag in window.flags}
    if "worker_died" in codes:
        return None
    if window.error:
        return window.error
    return next((flag.detail for flag in window.flags if flag.severity is Severity.VOID), None)


def is_unfinished(cell: Cell, result: Result | None, campaign: Campaign, services: Services,
                  spent_ns: int = 0) -> bool:
    """True while the stopping rule asks for another block and the protocol still allows one.

    The rule plans from the spread of the first stage only, so that looking at the numbers does not narrow them.
    """
    protocol = campaign.protocol
    blocks = services.store.cell_blocks(cell.id)
    if len(blocks) >= protocol.blocks_max:
        return False
    first = blocks[:first_stage_blocks(protocol)]
    profile, _ = services.profile(services.store.device(cell.device).profile)
    seen = summarise(cell, first, profile) if first else None
    return needs_more(protocol, result.n_blocks if result else 0, {cell.id: _half_width_ratio(seen)}, spent_ns,
                      blocks_seen=len(first) or None).more


def _measure_block(campaign_id: str, ordered: Sequence[Cell], number: int,
                   artifacts: Mapping[str, str], inputs: Mapping[int, str], services: Services) -> None:
    """One block, measured again as a new attempt if the device broke it off."""
    device = ordered[0].device
    for attempt in range(1, _ATTEMPTS_MAX + 1):
        plan = _plan(campaign_id, ordered, number, attempt, artifacts, inputs, services)
        order = BlockOrder(campaign_id=campaign_id, device=device, plan=plan)
        services.listener(ProgressEvent(stage="measure", subject=device, text=f"block {number}", fraction=0.0))
        manifest = run_block(order, services)
        ingest(campaign_id, manifest, services)
        if manifest.state == "done":
            services.listener(ProgressEvent(stage="measure", subject=device, text=f"block {number} done", fraction=1.0))
            return
    raise DeviceError(
        f"Block {number} on {device} ended as {manifest.state!r} {_ATTEMPTS_MAX} times. Expected it to end by itself. "
        f"Look at the device with `lab devices check {device}`; `lab run` goes on from here."
    )


def _plan(campaign_id: str, ordered: Sequence[Cell], number: int, attempt: int, artifacts: Mapping[str, str],
          inputs: Mapping[int, str], services: Services) -> BlockPlan:
    profile, _ = services.profile(services.store.device(ordered[0].device).profile)
    return block_plan(ordered, campaign_id=campaign_id, number=number, attempt=attempt, artifacts=artifacts,
                      inputs=inputs, profile=profile)


def _half_width_ratio(result: Result | None) -> float | None:
    """Half-width of the median latency's interval as a part of the median."""
    interval = result.latency_p50_ns if result else None
    if interval is None or interval.low is None or interval.high is None:
        return None
    return (interval.high - interval.low) / 2 / interval.value


def _last_number(group: Sequence[Cell], services: Services) -> int:
    numbers = [block.number for cell in group for block in services.store.cell_blocks(cell.id)]
    return max(numbers, default=0)
