"""The first engine: everything in this process, one thing after the other.

Nothing is lost when it dies: windows are on disk before they count, blocks have deterministic ids, and finished cells
are skipped, so submitting the same campaign again goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np

from lab.domain.block import Cell
from lab.domain.campaign import Campaign
from lab.domain.device import DeviceFacts
from lab.domain.flags import Flag, Severity, Verdict
from lab.domain.result import Result
from lab.errors import DeviceError, LabError, MeasurementInvalid
from lab.workloads.base import Workload

from .base import Progress, ProgressEvent, Services
from .conclude import baseline_of, conclude_device
from .ingest import ingest_leftovers
from .measure import DeviceMeasuring, is_unfinished
from .planning import expand
from .prepare import compress_all, contact, fail_cells


class InlineEngine:
    """See `lab.campaigns.base.Engine`; `resume` returns when the campaign has ended."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._submitted: dict[str, tuple[Campaign, str]] = {}
        self._cancelled: set[str] = set()

    def submit(self, campaign: Campaign, source_text: str = "") -> str:
        """Accept a campaign; the same campaign has the same id, whoever submits it. Raises NotFound, ConfigError."""
        for name in campaign.devices:
            self._services.profile(self._services.store.device(name).profile)
        campaign_id = campaign_id_of(campaign)
        self._submitted[campaign_id] = (campaign, source_text)
        return campaign_id

    def cancel(self, campaign_id: str) -> None:
        """Stop before the next device; a running block is finished and kept."""
        self._cancelled.add(campaign_id)

    def progress(self, campaign_id: str) -> Progress:
        """Where the campaign stands, from the store."""
        summary = self._services.store.campaign(campaign_id)
        return Progress(campaign_id=campaign_id, state=summary.state, cells_total=summary.cells_total,
                        cells_done=summary.cells_done, cells_failed=summary.cells_failed)

    def resume(self, campaign_id: str) -> None:
        """Do what is not done yet."""
        services = self._services
        campaign, source_text = self._submitted.get(campaign_id) or services.store.definition(campaign_id)
        services.listener(ProgressEvent(stage="prepare", subject=campaign.workload, text="loading the workload"))
        workload = services.workload(campaign.workload)
        ingest_leftovers(services)
        cells = self._planned(campaign_id, campaign, workload, source_text)
        services.store.set_campaign_state(campaign_id, "measuring")
        unfinished = self._conclude(campaign_id, campaign, workload, cells)
        if unfinished:
            self._work(campaign_id, campaign, workload, cells, unfinished)
        self._end(campaign_id, campaign, workload, cells)

    def _planned(self, campaign_id: str, campaign: Campaign, workload: Workload, source_text: str
                 ) -> tuple[Cell, ...]:
        store = self._services.store
        profiles = {name: self._services.profile(store.device(name).profile) for name in campaign.devices}
        cells = expand(campaign, workload.sha256, profiles)
        store.save_campaign(campaign_id, campaign, workload.sha256, source_text)
        store.save_cells(campaign_id, cells)
        return cells

    def _conclude(self, campaign_id: str, campaign: Campaign, workload: Workload, cells: Sequence[Cell]) -> list[Cell]:
        """Results of all that is stored, without touching a device; returns the cells that need more blocks."""
        results: dict[str, Result] = {}
        for name in dict.fromkeys(cell.device for cell in cells):
            results |= conclude_device(campaign_id, [cell for cell in cells if cell.device == name], self._services,
                                       flags_of(workload))
        unfinished = []
        for cell in cells:
            result = results.get(cell.id)
            if is_unfinished(cell, result, campaign, self._services):
                unfinished.append(cell)
            elif result and result.n_blocks and result.verdict is not Verdict.VOID:
                self._services.store.set_cell_state(campaign_id, cell.id, "done")
        return unfinished

    def _work(self, campaign_id: str, campaign: Campaign, workload: Workload, cells: Sequence[Cell],
              unfinished: Sequence[Cell]) -> None:
        facts = self._reached(campaign_id, unfinished)
        wanted = [cell for cell in cells if cell in unfinished or cell in {baseline_of(c, cells) for c in unfinished}]
        artifacts = compress_all(campaign_id, wanted, workload, facts, self._services)
        inputs = {batch: self._store_input(workload, batch) for batch in {cell.settings.batch for cell in cells}}
        for name in facts:
            if campaign_id in self._cancelled:
                break
            mine = [cell for cell in wanted if cell.device == name]
            measuring = DeviceMeasuring(campaign_id=campaign_id, campaign=campaign, device=name, artifacts=artifacts,
                                        inputs=inputs, flags=flags_of(workload), services=self._services)
            try:
                measuring.measure(mine)
            except LabError as error:
                self._fail_device(campaign_id, mine, error)
            except Exception as error:  # noqa: BLE001 the campaign loop: one device's defect is not the others'
                self._fail_device(campaign_id, mine, error)

    def _reached(self, campaign_id: str, cells: Sequence[Cell]) -> dict[str, DeviceFacts]:
        facts = {}
        for name in dict.fromkeys(cell.device for cell in cells):
            try:
                facts[name] = contact(name, self._services)
            except DeviceError as error:
                fail_cells(campaign_id, [cell for cell in cells if cell.device == name], "connect", error,
                           self._services)
        return facts

    def _fail_device(self, campaign_id: str, cells: Sequence[Cell], error: BaseException) -> None:
        """What is measured stays; every cell that is not finished gets the reason."""
        states = self._services.store.cell_states(campaign_id)
        failed = [cell for cell in cells if states[cell.id][0] not in {"failed", "done"}]
        fail_cells(campaign_id, failed, "measure", error, self._services)

    def _store_input(self, workload: Workload, batch: int) -> str:
        """The sample input, repeated to the batch, as the file a device binds."""
        sample = np.repeat(workload.sample_input[:1], batch, axis=0)
        buffer = io.BytesIO()
        np.savez(buffer, input=sample)
        return self._services.store.artifacts.add_bytes(buffer.getvalue())

    def _end(self, campaign_id: str, campaign: Campaign, workload: Workload, cells: Sequence[Cell]) -> None:
        store = self._services.store
        self._services.listener(ProgressEvent(stage="analyse", subject="results", text="comparing"))
        self._conclude(campaign_id, campaign, workload, cells)
        states = store.cell_states(campaign_id)
        open_cells = [cell for cell in cells if states[cell.id][0] not in {"done", "failed"}]
        if campaign_id not in self._cancelled:
            for cell in open_cells:
                fail_cells(campaign_id, [cell], "measure", MeasurementInvalid(self._why_open(cell)), self._services)
        summary = store.campaign(campaign_id)
        if campaign_id in self._cancelled:
            store.set_campaign_state(campaign_id, "cancelled")
        elif summary.cells_done == summary.cells_total:
            store.set_campaign_state(campaign_id, "done")
        else:
            store.set_campaign_state(campaign_id, "partial" if summary.cells_done else "failed",
                                     f"{summary.cells_total - summary.cells_done} of {summary.cells_total} cells "
                                     "have no result")


    def _why_open(self, cell: Cell) -> str:
        blocks = self._services.store.cell_blocks(cell.id)
        said = next((block.window.error for block in reversed(blocks) if block.window.error), None)
        return said or f"{len(blocks)} blocks brought no usable window; `lab run` tries again"


def flags_of(workload: Workload) -> tuple[Flag, ...]:
    """What every result of this workload must say."""
    if workload.evaluation_inputs is None:
        return (Flag(code="no_accuracy", severity=Severity.INFO, detail="the workload brings no evaluation data"),)
    return ()


def campaign_id_of(campaign: Campaign) -> str:
    """Hash of everything the campaign says."""
    text = json.dumps(asdict(campaign), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
