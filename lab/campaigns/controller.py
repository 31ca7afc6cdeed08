"""What the controller does with a campaign, as short actions that each end with the calls that follow from them.

Every action reads the store, writes the store and returns calls; it can be done twice, after a crash, with the same
outcome. Nothing here waits: a campaign is a chain plan → contact → compress → block → ingest → block → … per device.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from lab.domain.artifact import CompressedModel
from lab.domain.block import Cell
from lab.domain.campaign import Campaign
from lab.domain.device import DeviceFacts
from lab.domain.flags import Flag, Severity, Verdict
from lab.domain.queue import BlockAttempt
from lab.domain.result import Result
from lab.errors import LabError, MeasurementInvalid, NotFound, StoreError
from lab.store.codec import from_text, to_text
from lab.store.connection import utc_now
from lab.workloads.base import Workload

from .artifact_keys import ArtifactKeys
from .base import ProgressEvent, Services
from .calls import Call, Json
from .conclude import baseline_of, conclude_device
from .ending import end_campaign, open_cells, why_open
from .ingest import ingest_leftovers
from .next_block import DeviceWork, is_unfinished, next_blocks
from .order_json import manifest_from_json, order_to_json
from .planning import expand
from .pools import resolve
from .prepare import fail_cells, note_facts
from .recovery import error_outcome, outcome_from_json
from .setbacks import BUSY_PAUSE_S, after_failed_device, kept_back
from .sharing import artifact_out_of_reach, not_handed_over
from .states import CAMPAIGN_OVER
from .taking import block_call, brief_of, take_block, take_recordings


class Controller:
    """One per LAB_HOME; `services` holds the only writer of the database."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self._workloads: dict[str, Workload] = {}

    def plan(self, campaign_id: str, epoch: int) -> list[Call]:
        """Expand the campaign into cells and ask every device that has something to measure for its facts."""
        store = self.services.store
        if not self.is_current(campaign_id, epoch):
            return []
        campaign, source_text = store.definition(campaign_id)
        store.set_campaign_state(campaign_id, "preparing")
        self._say("prepare", campaign.workload, "loading the workload")
        self._workloads.pop(campaign.workload, None)
        workload = self.workload(campaign)
        ingest_leftovers(self.services)
        cells = self.planned(campaign_id, campaign, workload, source_text)
        unfinished = self.conclude(campaign_id, campaign, workload, cells)
        store.set_cell_states(campaign_id, [cell.id for cell in unfinished], "waiting")
        if not unfinished:
            return end_campaign(campaign_id, self.services)
        return [self._contact(campaign_id, epoch, name, 1)
                for name in dict.fromkeys(cell.device for cell in unfinished)]

    def planned(self, campaign_id: str, campaign: Campaign, workload: Workload, source_text: str,
                devices: tuple[str, ...] = ()) -> tuple[Cell, ...]:
        """The campaign's cells, saved; on these devices, or on those that its pools give now.

        Cells that it had on a device that was removed stay in it, with what was measured or why not, and are not
        returned. Raises NotFound if none of its devices is there, or one that it never had a cell on is not.
        """
        store = self.services.store
        chosen = replace(campaign, devices=devices) if devices else resolve(campaign_id, campaign, store)
        gone = {name: cells for name in chosen.devices if name not in self._registered()
                and (cells := store.cells(campaign_id, name))}
        there = tuple(name for name in chosen.devices if name not in gone) or chosen.devices
        profiles = {name: self.services.profile(store.device(name).profile) for name in there}
        cells = expand(replace(chosen, devices=there), workload.sha256, profiles)
        store.save_campaign(campaign_id, campaign, workload.sha256, source_text)
        store.save_cells(campaign_id, [*cells, *itertools.chain.from_iterable(gone.values())])
        for name in gone:
            fail_cells(campaign_id, self._open(campaign_id, name), "measure", _removed(name), self.services)
        return cells

    def conclude(self, campaign_id: str, campaign: Campaign, workload: Workload, cells: Sequence[Cell]) -> list[Cell]:
        """Results of all that is stored, without touching a device; returns the cells that need more blocks."""
        results: dict[str, Result] = {}
        for name in dict.fromkeys(cell.device for cell in cells):
            results |= conclude_device(campaign_id, [cell for cell in cells if cell.device == name], self.services,
                                       flags_of(workload))
        unfinished = []
        for cell in cells:
            if is_unfinished(cell, results.get(cell.id), campaign, self.services):
                unfinished.append(cell)
            else:
                self._note_done(campaign_id, cell, results.get(cell.id))
        return unfinished

    def contacted(self, campaign_id: str, epoch: int, device: str, outcome: Json) -> list[Call]:
        """The device answered, or not: note what it is, and have made what it is to measure."""
        if not self.is_current(campaign_id, epoch):
            return []
        store = self.services.store
        cells = self._open(campaign_id, device)
        lost = self._lost(campaign_id, device)
        if lost is not None:
            return lost
        failed = outcome_from_json(outcome["error"]) if outcome.get("error") else None
        if failed is None:
            try:
                note_facts(device, from_text(DeviceFacts, outcome["facts"]), store)
            except LabError as error:
                fail_cells(campaign_id, cells, "connect", error, self.services)
                return end_campaign(campaign_id, self.services)
        if failed is not None:
            again = self._contact(campaign_id, epoch, device, int(outcome["number"]) + 1)
            return after_failed_device(campaign_id, device, cells, "connect", failed, again, self.services)
        store.note_success(device)
        calls, is_waiting = self._compressions(campaign_id, epoch, device)
        return calls if is_waiting else self.advance(campaign_id, epoch, device)

    def compressed(self, campaign_id: str, epoch: int, key: str, outcome: Json) -> list[Call]:
        """An artifact is made, or cannot be; devices whose artifacts are all settled go on."""
        if not self.is_current(campaign_id, epoch):
            return []
        store, keys = self.services.store, ArtifactKeys(self.services)
        for name in dict.fromkeys(cell.device for cell in self._cells_in(campaign_id, {"compressing"})):
            self._lost(campaign_id, name)  # its artifacts go by other keys now, and nobody would look at it again
        cells = [cell for cell in self._cells_in(campaign_id, {"compressing"}) if keys.of(cell) == key]
        model: CompressedModel | None = from_text(CompressedModel, outcome["model"]) if "model" in outcome else None
        away = artifact_out_of_reach(model.artifact.sha256, self.services) if model and cells else None
        if model is None or away is not None:
            failed = outcome_from_json(outcome["error"] if away is None else error_outcome(away))
            if cells and failed.transient and isinstance(failed.as_error(), StoreError):
                store.set_cell_states(campaign_id, [cell.id for cell in cells], "compressing", failed.text)
                again = self._compress_call(campaign_id, epoch, cells[0], f":{utc_now()}")
                return [replace(again, delay_s=BUSY_PAUSE_S)]
            fail_cells(campaign_id, cells, "compress", failed.as_error(), self.services)
        else:
            for cell in {(cell.workload_sha256, cell.technique.name): cell for cell in cells}.values():
                store.save_compressed(cell.workload_sha256, model, cell.technique)
            self._ready(campaign_id, dict.fromkeys([cell.id for cell in cells], model.artifact.sha256))
        waiting = {cell.device for cell in self._cells_in(campaign_id, {"compressing"})}
        devices = [name for name in dict.fromkeys(cell.device for cell in cells) if name not in waiting]
        return [call for name in devices for call in self.advance(campaign_id, epoch, name)]

    def advance(self, campaign_id: str, epoch: int, device: str) -> list[Call]:
        """Results of the device so far, and its next blocks; the campaign's end when no device has any."""
        if not self.is_current(campaign_id, epoch):
            return []
        campaign, _ = self.services.store.definition(campaign_id)
        self.services.store.set_campaign_state(campaign_id, "measuring")
        lost = self._lost(campaign_id, device)
        if lost is not None:
            return lost
        kept = kept_back(campaign_id, epoch, device, self._open(campaign_id, device), self.services)
        if kept is not None:
            return kept
        work = self._work(campaign_id, campaign, device)
        results = conclude_device(campaign_id, work.cells, self.services, flags_of(self.workload(campaign)))
        wanted = next_blocks(work, results, self.services)
        calls = [self._block_call(work, epoch, block.order, block.expected_ns) for block in wanted]
        if calls or self._under_way(campaign_id, device):
            return calls
        for cell in self._open(campaign_id, device):
            self._note_done(campaign_id, cell, results.get(cell.id))
        for cell in self._open(campaign_id, device):
            fail_cells(campaign_id, [cell], "measure", MeasurementInvalid(why_open(cell, self.services)), self.services)
        return end_campaign(campaign_id, self.services)

    def ingested(self, campaign_id: str, epoch: int, order: Json, tries: int, outcome: Json) -> list[Call]:
        """A block has ended, or could not be measured; what it recorded is stored, and the device goes on."""
        calls = take_block(campaign_id, epoch, order, tries, outcome, self.services,
                           is_current=self.is_current(campaign_id, epoch))
        return self.advance(campaign_id, epoch, brief_of(order)["device"]) if calls is None else calls

    def collected(self, campaign_id: str, manifest: Json, is_shared: bool, owner: str = "") -> list[Call]:
        """A block that an earlier worker process started and a later one fetched; raises SharedFilesMissing."""
        known = manifest_from_json(manifest)
        away = not_handed_over(known, {"shared": is_shared, "owner": owner}, self.services)
        if away is not None:
            raise away
        take_recordings(campaign_id, known, self.services, is_shared=is_shared)
        attempts = self.services.store.attempts(campaign_id, known.device)
        if any((each.block_id, each.attempt, each.state) == (known.block_id, known.attempt, "queued")
               for each in attempts):  # how another one ended is known better by those who saw it
            self.services.store.end_attempt(known.block_id, known.attempt, "done" if known.state == "done" else "void")
        return []

    def broke(self, campaign_id: str, error: Exception) -> None:
        """The campaign cannot go on at all: say why, and leave what is measured."""
        text = "\n".join([str(error) or repr(error), *getattr(error, "__notes__", ())])
        self.services.store.record_failure(campaign_id, None, None, "campaign", type(error).__name__, text)
        self.services.store.set_campaign_state(campaign_id, "failed", text)
        self.services.notify(campaign_id, "failed", text)

    def is_current(self, campaign_id: str, epoch: int) -> bool:
        """Whether the campaign is still at this epoch and nobody stopped it; calls of an earlier one do nothing."""
        head = self.services.store.head(campaign_id)
        return head.epoch == epoch and head.state not in CAMPAIGN_OVER

    def workload(self, campaign: Campaign) -> Workload:
        """The campaign's workload, kept in memory."""
        if campaign.workload not in self._workloads:
            self._workloads[campaign.workload] = self.services.workload(campaign.workload)
        return self._workloads[campaign.workload]

    def _block_call(self, work: DeviceWork, epoch: int, order: Any, expected_ns: int) -> Call:
        store, plan = self.services.store, order.plan
        store.queue_attempt(BlockAttempt(
            block_id=plan.block_id, attempt=plan.attempt, campaign_id=work.campaign_id, device=work.device,
            number=plan.number, state="queued", expected_ns=expected_ns, queued_utc=utc_now()))
        measured = {window.cell_id for window in plan.windows}
        store.set_cell_states(work.campaign_id, [cell.id for cell in work.cells if cell.id in measured], "measuring")
        return block_call(work.campaign_id, epoch, order_to_json(order), 1,
                          store.head(work.campaign_id).priority)

    def _contact(self, campaign_id: str, epoch: int, name: str, number: int) -> Call:
        device = self.services.store.device(name)
        profile, _ = self.services.profile(device.profile)
        return Call(name="contact", id=f"{campaign_id}:{epoch}:contact:{name}:{number}", queue="device",
                    args=[campaign_id, epoch, to_text(device), to_text(profile), number], device=name,
                    agent_host=device.agent_host, priority=self.services.store.head(campaign_id).priority)

    def _compressions(self, campaign_id: str, epoch: int, device: str) -> tuple[list[Call], bool]:
        """Calls for the artifacts that no other device has asked for, and whether any is still to be made."""
        store = self.services.store
        states = store.cell_states(campaign_id)
        cells = store.cells(campaign_id)
        others = self._registered() - {device}
        keys, contacted = ArtifactKeys(self.services), {name for name in others if store.facts(name)}
        settled = {keys.of(cell): cell for cell in cells if states[cell.id][0] in {"ready", "measuring"}
                   and cell.device in contacted}  # what is missed here comes from the cache
        wanted = self._to_measure(campaign_id, device)
        made = store.cell_artifacts([cell.id for cell in settled.values()])
        self._ready(campaign_id, {cell.id: made[settled[keys.of(cell)].id] for cell in wanted
                                  if keys.of(cell) in settled})
        lacking = {keys.of(cell): cell for cell in wanted if keys.of(cell) not in settled}
        store.set_cell_states(campaign_id, [cell.id for cell in wanted if keys.of(cell) in lacking], "compressing")
        # Only for a device of an earlier name: of two that both begin again after a crash one must go first.
        asked = {keys.of(cell) for cell in cells if states[cell.id][0] == "compressing" and cell.device < device
                 and cell.device in contacted}
        calls = [self._compress_call(campaign_id, epoch, cell) for key, cell in lacking.items() if key not in asked]
        return calls, bool(lacking)

    def _compress_call(self, campaign_id: str, epoch: int, cell: Cell, again: str = "") -> Call:
        """`again` tells a second try for the same artifact apart."""
        store, key = self.services.store, ArtifactKeys(self.services).of(cell)
        facts = store.facts(cell.device)
        profile, _ = self.services.profile(store.device(cell.device).profile)
        args = [campaign_id, epoch, key, to_text(cell), to_text(facts[0] if facts else None), to_text(profile)]
        return Call(name="compress", id=f"{campaign_id}:{epoch}:compress:{cell.device}:{key}{again}", queue="compress",
                    args=args, priority=store.head(campaign_id).priority)

    def _to_measure(self, campaign_id: str, device: str) -> list[Cell]:
        """The device's open cells and the baselines they are compared with."""
        cells = self.services.store.cells(campaign_id, device)
        open_cells = {cell.id: cell for cell in self._open(campaign_id, device)}
        baselines = {base.id for cell in open_cells.values() if (base := baseline_of(cell, cells))}
        return [cell for cell in cells if cell.id in open_cells or cell.id in baselines]

    def _ready(self, campaign_id: str, artifacts: Mapping[str, str]) -> None:
        """Cells, by id, whose artifact is made."""
        self.services.store.set_cell_artifacts(artifacts)
        self.services.store.set_cell_states(campaign_id, artifacts, "ready")

    def _work(self, campaign_id: str, campaign: Campaign, device: str) -> DeviceWork:
        store = self.services.store
        mine = store.cells(campaign_id, device)
        states = store.cell_states(campaign_id, device)
        made = {cell_id: sha256 for cell_id, sha256 in store.cell_artifacts([cell.id for cell in mine]).items()
                if states[cell_id][0] != "compressing"}
        workload = self.workload(campaign)
        inputs = {batch: self._store_input(workload, batch) for batch in {cell.settings.batch for cell in mine}}
        return DeviceWork(campaign_id=campaign_id, campaign=campaign, device=device, cells=mine, artifacts=made,
                          inputs=inputs)

    def _registered(self) -> set[str]:
        return {device.name for device in self.services.store.devices()}

    def _lost(self, campaign_id: str, device: str) -> list[Call] | None:
        """What follows where the device was removed since the campaign was planned, or its profile changed; else None.

        Its cells fail with that reason, and the campaign goes on with other devices.
        """
        error = self._why_lost(campaign_id, device)
        if error is None:
            return None
        fail_cells(campaign_id, self._open(campaign_id, device), "measure", error, self.services)
        return end_campaign(campaign_id, self.services)

    def _why_lost(self, campaign_id: str, device: str) -> LabError | None:
        if device not in self._registered():
            return _removed(device)
        _, sha256 = self.services.profile(self.services.store.device(device).profile)
        if all(cell.profile_sha256 == sha256 for cell in self.services.store.cells(campaign_id, device)):
            return None
        return LabError(f"The profile of {device} was changed while this campaign was measuring, so its cells are "
                        "other cells now. What was measured under the old profile is kept. Measure under the new one "
                        "with `lab campaigns retry`.")

    def _store_input(self, workload: Workload, batch: int) -> str:
        """The sample input, repeated to the batch, as the file a device binds."""
        buffer = io.BytesIO()
        np.savez(buffer, input=np.repeat(workload.sample_input[:1], batch, axis=0))
        artifacts = self.services.store.artifacts
        sha256 = artifacts.add_bytes(buffer.getvalue())
        if self.services.shared is not None:
            self.services.shared.push("artifacts", sha256, artifacts.path(sha256))
        return sha256

    def _cells_in(self, campaign_id: str, states: Iterable[str]) -> list[Cell]:
        known, wanted = self.services.store.cell_states(campaign_id), set(states)
        return [cell for cell in self.services.store.cells(campaign_id) if known[cell.id][0] in wanted]

    def _open(self, campaign_id: str, device: str) -> list[Cell]:
        return open_cells(campaign_id, device, self.services)

    def _under_way(self, campaign_id: str, device: str) -> bool:
        return any(attempt.state == "queued" for attempt in self.services.store.attempts(campaign_id, device))

    def _note_done(self, campaign_id: str, cell: Cell, result: Result | None) -> None:
        if result and result.n_blocks and result.verdict is not Verdict.VOID:
            self.services.store.set_cell_state(campaign_id, cell.id, "done")

    def _say(self, stage: Any, subject: str, text: str) -> None:
        self.services.listener(ProgressEvent(stage=stage, subject=subject, text=text))


def _removed(device: str) -> LabError:
    return NotFound(f"Device {device} was removed while this campaign was queued. Its results so far are kept. "
                    "Add it again with `lab devices add`, then `lab campaigns retry`.")


def flags_of(workload: Workload) -> tuple[Flag, ...]:
    """What every result of this workload must say."""
    if workload.evaluation_inputs is None:
        return (Flag(code="no_accuracy", severity=Severity.INFO, detail="the workload brings no evaluation data"),)
    return ()
