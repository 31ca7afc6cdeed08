"""Blocks on one device until the stopping rule is satisfied, or until measuring again cannot help."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from lab.analysis.summarise import summarise
from lab.domain.block import BlockOrder, BlockPlan, Cell
from lab.domain.campaign import Campaign
from lab.domain.flags import Flag, Severity
from lab.domain.recording import Window
from lab.domain.result import Result
from lab.errors import DeviceError, MeasurementInvalid

from .base import ProgressEvent, Services
from .block import host_spool, run_block
from .conclude import conclude_device
from .ingest import collect_promised, ingest
from .planning import block_plan, groups_of, order_block
from .prepare import fail_cells
from .stopping import first_stage_blocks, needs_more

_ATTEMPTS_MAX = 2
_DEATHS_MAX = 2
_MISSING_MAX = 2


@dataclass(kw_only=True)
class DeviceMeasuring:
    """What one campaign has to measure on one device, and how far it is.

    `artifacts` is the artifact hash by cell id, `inputs` the hash of the sample input by batch.
    """

    campaign_id: str
    campaign: Campaign
    device: str
    artifacts: Mapping[str, str]
    inputs: Mapping[int, str]
    services: Services
    flags: tuple[Flag, ...] = ()
    spent_ns: int = 0
    missing: Counter[str] = field(default_factory=Counter)

    def measure(self, cells: Sequence[Cell]) -> None:
        """All cells, group after group; raises DeviceError when the device cannot go on."""
        collect_promised(self.device, self.services)
        for group in groups_of(cells):
            ready = [cell for cell in group if cell.id in self.artifacts]
            if ready and ready[0].technique.is_baseline:
                self._measure_group(ready)
            else:
                self._fail(ready, "the baseline could not be compressed, and every block compares with it")

    def _measure_group(self, group: Sequence[Cell]) -> None:
        given_up: set[str] = set()
        results = conclude_device(self.campaign_id, group, self.services, self.flags)
        while True:
            unfinished = [cell for cell in group if cell.id not in given_up
                          and is_unfinished(cell, results.get(cell.id), self.campaign, self.services, self.spent_ns)]
            if not unfinished:
                return
            if group[0].id in given_up:
                self._fail(unfinished, "the baseline could not be measured, and every block compares with it")
                return
            wanted = [cell for cell in group if cell.technique.is_baseline or cell in unfinished]
            self._measure_next_block(group, wanted)
            given_up |= self._give_up_on(wanted)
            results = conclude_device(self.campaign_id, group, self.services, self.flags)

    def _measure_next_block(self, group: Sequence[Cell], wanted: Sequence[Cell]) -> None:
        before = {cell.id: self._stored(cell) for cell in wanted}
        for cell in wanted:
            self.services.store.set_cell_state(self.campaign_id, cell.id, "measuring")
        begun_ns = time.monotonic_ns()
        last = self.services.store.last_block_number([cell.id for cell in group])
        self._measure_block(wanted, last + 1)
        self.spent_ns += time.monotonic_ns() - begun_ns
        for cell in wanted:
            is_new = bool(self._stored(cell) - before[cell.id])
            self.missing[cell.id] = 0 if is_new else self.missing[cell.id] + 1

    def _stored(self, cell: Cell) -> set[tuple[str, int]]:
        return {(block.block_id, block.window.attempt) for block in self.services.store.cell_blocks(cell.id)}

    def _measure_block(self, wanted: Sequence[Cell], number: int) -> None:
        """One block, measured again as a new attempt if the device broke it off."""
        ordered = order_block(wanted, number, self.campaign.protocol.order_seed)
        plan = self._plan(ordered, number)
        for _ in range(_ATTEMPTS_MAX):
            attempt = host_spool(self.services).next_attempt(plan.block_id)
            order = BlockOrder(campaign_id=self.campaign_id, device=self.device, plan=replace(plan, attempt=attempt))
            self._tell(f"block {number}, about {_expected_s(plan):.0f} s", 0.0)
            manifest = run_block(order, self.services)
            ingest(self.campaign_id, manifest, self.services)
            if manifest.state == "done":
                self._tell(f"block {number} done", 1.0)
                return
        raise DeviceError(
            f"Block {number} on {self.device} ended as {manifest.state!r} {_ATTEMPTS_MAX} times. Expected it to end by "
            f"itself. Look at the device with `lab devices check {self.device}`; `lab run` goes on from here."
        )

    def _plan(self, ordered: Sequence[Cell], number: int) -> BlockPlan:
        profile, _ = self.services.profile(self.services.store.device(self.device).profile)
        # The home's own id keeps block names apart when a deleted LAB_HOME is made anew: the device remembers names.
        return block_plan(ordered, campaign_id=f"{self.services.home_id}/{self.campaign_id}", number=number, attempt=1,
                          artifacts=self.artifacts, inputs=self.inputs, profile=profile)

    def _give_up_on(self, cells: Sequence[Cell]) -> set[str]:
        """Cells for which another block cannot help; the reason goes into the store."""
        hopeless = set()
        for cell in cells:
            windows = [block.window for block in self.services.store.cell_blocks(cell.id)]
            reason = why_hopeless(windows)
            if reason is None and self.missing[cell.id] >= _MISSING_MAX:
                reason = f"{_MISSING_MAX} blocks in a row brought no usable recording. Last: {self._last_refusal(cell)}"
            if reason:
                hopeless.add(cell.id)
                self._fail([cell], reason)
        return hopeless

    def _last_refusal(self, cell: Cell) -> str:
        """Why the cell's last recording was not taken, as `ingest` noted it."""
        events = self.services.store.events(self.campaign_id)
        return next((event.message for event in reversed(events) if event.cell_id == cell.id),
                    "the device sent none for it; look at it with `lab devices check " + self.device + "`")

    def _fail(self, cells: Sequence[Cell], reason: str) -> None:
        fail_cells(self.campaign_id, cells, "measure", MeasurementInvalid(reason), self.services)

    def _tell(self, text: str, fraction: float) -> None:
        self.services.listener(ProgressEvent(stage="measure", subject=self.device, text=text, fraction=fraction))


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


def _half_width_ratio(result: Result | None) -> float | None:
    """Half-width of the median latency's interval as a part of the median."""
    interval = result.latency_p50_ns if result else None
    if interval is None or interval.low is None or interval.high is None:
        return None
    return (interval.high - interval.low) / 2 / interval.value


def _expected_s(plan: BlockPlan) -> float:
    """Seconds the block takes if nothing goes wrong; starting a worker is taken as a second."""
    measured_ns = sum(window.warmup_ns + window.length_ns for window in plan.windows)
    return (2 * plan.idle_ns + measured_ns) / 1e9 + len(plan.windows)
