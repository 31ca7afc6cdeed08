"""Where a campaign stands, in words a user understands; read from the store and the roster, no worker needed."""

from __future__ import annotations

import shutil
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from lab.analysis.summarise import summarise
from lab.domain.block import Cell
from lab.domain.queue import BlockAttempt
from lab.domain.summary import CampaignSummary

from .base import STORAGE, Services
from .calls import CONTROLLER
from .next_block import half_width_ratio, took_s
from .planning import groups_of
from .states import CAMPAIGN_OVER, CELL_OVER
from .stopping import first_stage_blocks

REMOVED = "?"
"""Stands for the agent host of a device that is not registered any more."""

_FREE_MIN_BYTES = 1 << 16
_CELLS_SEEN = 12
"""Enough for a person to see an interval shrink; all of thousands would take long to compute."""

_NO_END = frozenset({*CELL_OVER, *CAMPAIGN_OVER, "held"})
"""In these states of a device no end is in sight, or it lies behind."""


@dataclass(frozen=True, kw_only=True)
class DeviceStanding:
    """One device of a campaign: what happens there, and how far it is.

    `state` is waiting, preparing, compressing, measuring, held, done, partial, failed or cancelled; `text` says for
    what it waits, which block it measures, or why it failed. `half_width_ratio` is the widest cell's, relative to its
    median latency.
    """

    device: str
    agent_host: str
    state: str
    text: str
    cells: dict[str, int]
    blocks_done: int
    blocks_planned: int
    half_width_ratio: float | None
    eta_s: float | None


@dataclass(frozen=True, kw_only=True)
class Standing:
    """One campaign; `eta_s` is None once it has ended, or while nothing has been measured to tell from."""

    campaign_id: str
    name: str
    owner: str
    state: str
    failure: str | None
    priority: int
    cells_total: int
    cells_done: int
    cells_failed: int
    devices: tuple[DeviceStanding, ...]
    eta_s: float | None


@dataclass(frozen=True, kw_only=True)
class WorkerSeen:
    """What the roster says of one worker: its roles, and the last word about each subject."""

    roles: tuple[str, ...]
    is_alive: bool
    doing: dict[str, str]


def standing(campaign_id: str, seen: Sequence[WorkerSeen], services: Services) -> Standing:
    """The campaign now."""
    store = services.store
    summary = store.campaign(campaign_id)
    cells = store.cells(summary.id)
    names = list(dict.fromkeys(cell.device for cell in cells))
    devices = tuple(_device(summary, name, [cell for cell in cells if cell.device == name], seen, services)
                    for name in names)
    is_over = summary.state in CAMPAIGN_OVER
    return Standing(
        campaign_id=summary.id, name=summary.name, owner=summary.owner, state=summary.state, failure=summary.failure,
        priority=summary.priority, cells_total=summary.cells_total, cells_done=summary.cells_done,
        cells_failed=summary.cells_failed, devices=devices,
        eta_s=None if is_over or not devices else _campaign_eta_s(devices, services))


def _device(summary: CampaignSummary, name: str, cells: Sequence[Cell], seen: Sequence[WorkerSeen],
            services: Services) -> DeviceStanding:
    store, campaign_id = services.store, summary.id
    known = next((device for device in store.devices() if device.name == name), None)
    host = known.agent_host if known else REMOVED
    states = store.cell_states(campaign_id)
    counts = Counter(states[cell.id][0] for cell in cells)
    attempts = store.attempts(campaign_id, name)
    done = [attempt for attempt in attempts if attempt.state == "done"]
    planned = sum(first_stage_blocks(group[0].protocol) for group in groups_of(cells))
    said = [states[cell.id] for cell in cells]
    state, text = _over(summary, counts, said) or _state(name, host, counts, said, attempts, planned, seen, services)
    return DeviceStanding(
        device=name, agent_host=host, state=state, text=text, cells=dict(counts), blocks_done=len(done),
        blocks_planned=max(planned, len(done)), half_width_ratio=_half_width(cells, services) if known else None,
        eta_s=_device_eta_s(attempts, planned) if state not in _NO_END else None)


def _over(summary: CampaignSummary, counts: Counter[str], said: Sequence[tuple[str, str | None]]
          ) -> tuple[str, str] | None:
    """State and text of a device on which nothing more happens; None while something does."""
    if set(counts) <= CELL_OVER:
        state = "done" if counts["done"] == len(said) else "partial" if counts["done"] else "failed"
        return state, next((failure for _, failure in said if failure), None) or ""
    if summary.state in CAMPAIGN_OVER:
        return summary.state, summary.failure or "`lab campaigns resume` goes on"
    return None


def _state(name: str, host: str, counts: Counter[str], said: Sequence[tuple[str, str | None]],
           attempts: Sequence[BlockAttempt], planned: int, seen: Sequence[WorkerSeen], services: Services
           ) -> tuple[str, str]:
    reason = next((failure for _, failure in said if failure), None)
    if host == REMOVED:
        return "waiting", f"for device {name}, which was removed: add it again with `lab devices add {name} URL`"
    if counts["held"]:
        return "held", next((failure for state, failure in said if state == "held" and failure), "quarantined")
    stuck = _why_storage_waits(seen, services)
    if stuck:
        return "waiting", stuck
    if not any(worker.is_alive and f"devices:{host}" in worker.roles for worker in seen):
        command = "lab worker" if host == CONTROLLER else f"lab worker --agent-host {host}"
        return "waiting", f"for a worker at {host}: start `{command}`"
    doing = next((worker.doing[name] for worker in seen if worker.is_alive and name in worker.doing), "")
    if counts["compressing"]:
        stuck = next((failure for state, failure in said if state == "compressing" and failure), None)
        return ("waiting", stuck) if stuck else (
            "compressing", f"{counts['compressing']} of {len(said)} artifacts to make")
    if counts["measuring"]:
        return _measuring(name, doing, attempts, planned, services)
    if counts["waiting"] and reason:
        return "waiting", reason
    return "preparing", reason or doing


def _why_storage_waits(seen: Sequence[WorkerSeen], services: Services) -> str | None:
    """Why the controller can store nothing now; a full disk is looked for here, since nobody could have noted it."""
    if shutil.disk_usage(services.home).free < _FREE_MIN_BYTES:
        return (f"for space: the disk of {services.home} is full. Free some there; what waits for it goes on by itself "
                "within two minutes")
    said = (worker.doing.get(STORAGE, "") for worker in seen if worker.is_alive and "controller" in worker.roles)
    return next((text.removeprefix("waiting: ") for text in said if text), None)


def _measuring(name: str, doing: str, attempts: Sequence[BlockAttempt], planned: int, services: Services
               ) -> tuple[str, str]:
    ended = sum(attempt.state == "done" for attempt in attempts)
    others = [attempt for attempt in services.store.attempts(device=name)
              if attempt.state == "queued" and attempt.campaign_id not in {mine.campaign_id for mine in attempts}]
    note = f"; shares the device with {len({other.campaign_id for other in others})} more" if others else ""
    state = "waiting" if doing.startswith("waiting") else "measuring"
    return state, f"block {ended + 1} of {max(planned, ended + 1)}{': ' + doing if doing else ''}{note}"


def _half_width(cells: Sequence[Cell], services: Services) -> float | None:
    """The widest interval so far, relative; None before there is one."""
    found = []
    profiles = {device.name: device.profile for device in services.store.devices()}
    for cell in cells[:_CELLS_SEEN] if cells[0].device in profiles else ():
        blocks = services.store.cell_blocks(cell.id)
        if blocks:
            profile, _ = services.profile(profiles[cell.device])
            found.append(half_width_ratio(summarise(cell, blocks, profile)))
    known = [width for width in found if width is not None]
    return max(known) if known else None


def _device_eta_s(attempts: Sequence[BlockAttempt], planned: int) -> float | None:
    """Blocks left times what a block took so far, or should take."""
    ended = [attempt for attempt in attempts if attempt.state == "done"]
    left = max(planned - len(ended), sum(attempt.state == "queued" for attempt in attempts))
    took = [seconds for attempt in ended if (seconds := took_s(attempt)) is not None]
    expected = [attempt.expected_ns / 1e9 for attempt in attempts if attempt.expected_ns]
    each = statistics.median(took) if took else statistics.median(expected) if expected else None
    return None if each is None else left * each


def _campaign_eta_s(devices: Sequence[DeviceStanding], services: Services) -> float | None:
    """Devices work side by side, except those that share the cores of their agent host, which take turns."""
    sharing: dict[str, float] = {}
    apart = [0.0]
    urls = {device.name: device.url for device in services.store.devices()}
    for each in devices:
        if each.state in _NO_END:
            continue
        if each.eta_s is None:
            return None
        if urls.get(each.device, "").startswith(("local", "virtual")):
            sharing[each.agent_host] = sharing.get(each.agent_host, 0.0) + each.eta_s
        else:
            apart.append(each.eta_s)
    return max([*sharing.values(), *apart])
