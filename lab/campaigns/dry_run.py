"""What a campaign would do: cells, artifacts, bytes to send, time; nothing is connected, compressed or queued."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lab.domain.block import Cell
from lab.domain.campaign import Campaign

from .base import Services
from .ids import campaign_id_of
from .next_block import is_unfinished
from .planning import expand, groups_of
from .pools import resolve
from .stopping import first_stage_blocks

_START_NS = 1_000_000_000


@dataclass(frozen=True, kw_only=True)
class DryCell:
    """One cell: what is known of its artifact, and whether it has to be measured."""

    device: str
    technique: str
    seed: int
    settings: str
    artifact_sha256: str | None
    size_bytes: int | None
    is_measured: bool


@dataclass(frozen=True, kw_only=True)
class DryDevice:
    """One device: blocks at least, at most, and the seconds they take; bytes of artifacts whose size is known."""

    device: str
    blocks_min: int
    blocks_max: int
    seconds_min: float
    seconds_max: float
    send_bytes: int
    artifacts_unknown: int


@dataclass(frozen=True, kw_only=True)
class DryRun:
    """All of it; artifacts that were never made have no size yet."""

    name: str
    cells: tuple[DryCell, ...]
    devices: tuple[DryDevice, ...]
    artifacts_to_make: int


def look_ahead(campaign: Campaign, services: Services) -> DryRun:
    """Expand a campaign and price it; raises ConfigError, NotFound, WorkloadError."""
    from lab.domain.settings_text import settings_text

    store = services.store
    campaign = resolve(campaign_id_of(campaign), campaign, store)
    workload = services.workload(campaign.workload)
    profiles = {name: services.profile(store.device(name).profile) for name in campaign.devices}
    cells = expand(campaign, workload.sha256, profiles)
    made = store.cell_artifacts([cell.id for cell in cells])
    open_cells = {cell.id for cell in cells if is_unfinished(cell, store.result(cell.id), campaign, services)}
    sizes = {sha256: store.artifacts.path(sha256).stat().st_size for sha256 in set(made.values())
             if store.artifacts.has(sha256)}
    lines = tuple(DryCell(
        device=cell.device, technique=cell.technique.name, seed=cell.seed, settings=settings_text(cell.settings),
        artifact_sha256=made.get(cell.id), size_bytes=sizes.get(made.get(cell.id, "")),
        is_measured=cell.id not in open_cells) for cell in cells)
    devices = tuple(_device(name, [cell for cell in cells if cell.device == name and cell.id in open_cells],
                            [cell for cell in cells if cell.device == name], made, sizes)
                    for name in campaign.devices)
    unmade = {(cell.technique.name, cell.seed) for cell in cells if cell.id in open_cells and cell.id not in made}
    return DryRun(name=campaign.name, cells=lines, devices=devices, artifacts_to_make=len(unmade))


def _device(name: str, open_cells: Sequence[Cell], cells: Sequence[Cell], made: dict[str, str], sizes: dict[str, int]
            ) -> DryDevice:
    blocks_min = blocks_max = 0
    ns_min = ns_max = 0
    for group in groups_of(cells):
        wanted = [cell for cell in group if cell in open_cells]
        if not wanted:
            continue
        size = len(wanted) + (group[0] not in wanted)
        protocol = group[0].protocol
        each_ns = 2 * protocol.idle_ns + size * (protocol.warmup_ns + protocol.window_ns + _START_NS)
        low = first_stage_blocks(protocol)
        high = low if protocol.preset == "quick" else protocol.blocks_max
        blocks_min, blocks_max = blocks_min + low, blocks_max + high
        ns_min, ns_max = ns_min + low * each_ns, ns_max + high * each_ns
    hashes = {made[cell.id] for cell in open_cells if cell.id in made}
    unknown = sum(cell.id not in made for cell in open_cells)
    return DryDevice(device=name, blocks_min=blocks_min, blocks_max=blocks_max, seconds_min=ns_min / 1e9,
                     seconds_max=ns_max / 1e9, send_bytes=sum(sizes.get(each, 0) for each in hashes),
                     artifacts_unknown=unknown)
