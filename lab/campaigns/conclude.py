"""From stored recordings to stored results: every number here can be made again at any time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from lab.analysis.compare import compare
from lab.analysis.summarise import summarise
from lab.domain.block import Cell
from lab.domain.device import DeviceProfile
from lab.domain.flags import Flag
from lab.domain.recording import BlockWindows
from lab.domain.result import Comparison, Result

from .base import Services

COMPARED: tuple[Literal["latency_p50_ns", "energy_gross_j"], ...] = ("latency_p50_ns", "energy_gross_j")
"""Metrics that are compared to the baseline block by block."""


def conclude_device(campaign_id: str, cells: Sequence[Cell], services: Services,
                    flags: tuple[Flag, ...] = ()) -> dict[str, Result]:
    """Results and comparisons of one device's cells into the store; returns the results by cell id.

    `flags` of severity info are added to every result. Cells that were never measured are left out. One whose
    recordings are all of an earlier artifact gets a void result: its old numbers must not stand beside the new file.
    """
    blocks = {cell.id: services.store.cell_blocks(cell.id) for cell in cells}
    known = [cell for cell in cells if blocks[cell.id] or services.store.result(cell.id) is not None]
    profiles = {name: services.profile(services.store.device(name).profile)[0]  # read once: that takes 50 ms
                for name in {cell.device for cell in known}}
    results = {}
    comparisons: list[Comparison] = []
    for cell in known:
        result = summarise(cell, blocks[cell.id], profiles[cell.device])
        results[cell.id] = replace(result, flags=(*result.flags, *flags))
        services.store.save_result(results[cell.id])
        comparisons += _against_baseline(cell, cells, blocks, profiles[cell.device])
    services.store.save_comparisons(campaign_id, comparisons)
    return results


def _against_baseline(cell: Cell, cells: Sequence[Cell], blocks: dict[str, tuple[BlockWindows, ...]],
                      profile: DeviceProfile) -> list[Comparison]:
    baseline = baseline_of(cell, cells)
    if baseline is None or baseline.id == cell.id:
        return []
    return [compare(metric, cell.id, blocks[cell.id], baseline.id, blocks[baseline.id], profile)
            for metric in COMPARED]


def baseline_of(cell: Cell, cells: Sequence[Cell]) -> Cell | None:
    """The uncompressed cell of the same device and settings."""
    return next((other for other in cells if other.technique.is_baseline and other.device == cell.device
                 and other.settings == cell.settings), None)
