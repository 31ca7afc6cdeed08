"""From one cell's recordings to its result: a pure function, so every number can be made again."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Sequence

from lab.domain.block import Cell
from lab.domain.device import DeviceProfile, Origin
from lab.domain.flags import Flag, Severity, verdict_of
from lab.domain.recording import BlockWindows, Window
from lab.domain.result import Interval, Result

from .energy import BlockEnergy, block_energy
from .estimates import mean_of
from .latency import across_blocks, percentile_ns
from .memory import peak_memory
from .quality import (
    merge_flags,
    percentile_flags,
    precision_flags,
    temperature_max_c,
    unresolved_percents,
    usable_blocks,
    window_flags,
)
from .uncertainty import gross_quantity, net_quantity

_NO_SOURCE = ("no_power_source", "no_headline_rail")


def summarise(cell: Cell, blocks: Sequence[BlockWindows], profile: DeviceProfile) -> Result:
    """The result of a cell from its blocks, in any order.

    Windows with an error or a void flag enter no number. Where nothing is left the numbers are None and the flags
    say why. `profile` says which rails are the device's energy, and how power came to be.
    """
    usable = usable_blocks(blocks)
    windows = [block.window for block in usable]
    energies = consistent_energies(usable, profile)
    gross, net = gross_quantity(energies), net_quantity(energies)
    measured = [energy for energy in energies if energy.gross_j is not None]
    unresolved = unresolved_percents(windows)
    latency = {percent: None if percent in unresolved else _latency(windows, percent) for percent in (50, 90, 95, 99)}
    memory = peak_memory(windows)
    flags = merge_flags([(*_flags(blocks, usable, energies, profile), *percentile_flags(windows),
                          *precision_flags(cell.protocol, len(usable), latency[50], gross))], some_usable=False)
    return Result(
        cell_id=cell.id, n_blocks=len(usable), n_inferences=sum(window.inferences for window in windows),
        load=cell.settings.load,
        latency_p50_ns=latency[50], latency_p90_ns=latency[90], latency_p95_ns=latency[95],
        latency_p99_ns=latency[99],
        latency_max_ns=max((int(window.latency_ns.max()) for window in windows), default=None),
        throughput_hz=_median(window.inferences / _duration_s(window) for window in windows),
        load_ns=_median_ns(window.load_ns for window in windows),
        first_inference_ns=_median_ns(window.first_inference_ns for window in windows),
        cpu_per_inference_ns=_median(window.cpu_ns / window.inferences for window in windows
                                     if window.cpu_ns is not None),
        memory_kind=memory.kind, memory_peak_bytes=memory.peak_bytes, memory_delta_bytes=memory.delta_bytes,
        deadline_misses=_total(window.deadline_misses for window in windows),
        idle_power_w=_mean(energy.idle_power_w for energy in measured),
        mean_power_w=_mean(energy.window.mean_power_w for energy in measured),
        energy_gross_j=gross, energy_net_j=net,
        power_scope=measured[0].window.scope if measured else None,
        power_origin=profile.origin if measured else None,
        temperature_max_c=temperature_max_c(windows), flags=flags, verdict=verdict_of(flags))


def consistent_energies(blocks: Sequence[BlockWindows], profile: DeviceProfile) -> tuple[BlockEnergy, ...]:
    """Energy of each block's window; where blocks saw unlike rails, only those with the most common ones count.

    A rail that comes and goes would look like energy saved.
    """
    energies = [block_energy(block, profile) for block in blocks]
    seen = Counter(_rail_names(energy) for energy in energies if energy.gross_j is not None)
    if len(seen) < 2:
        return tuple(energies)
    usual = seen.most_common(1)[0][0]
    return tuple(energy if _rail_names(energy) == usual or energy.gross_j is None else _set_aside(energy, usual)
                 for energy in energies)


def _rail_names(energy: BlockEnergy) -> tuple[str, ...]:
    return tuple(sorted(rail.name for rail in energy.window.rails))


def _set_aside(energy: BlockEnergy, usual: tuple[str, ...]) -> BlockEnergy:
    unlike = Flag(code="energy_gap", severity=Severity.VOID,
                  detail=f"rails {', '.join(_rail_names(energy))} were read, {', '.join(usual)} in other blocks")
    window = type(energy.window)(energy_j=None, duration_s=energy.window.duration_s,
                                 flags=(*energy.window.flags, unlike))
    return BlockEnergy(block_id=energy.block_id, window=window, inferences=energy.inferences)


def _flags(blocks: Sequence[BlockWindows], usable: Sequence[BlockWindows], energies: Sequence[BlockEnergy],
           profile: DeviceProfile) -> tuple[Flag, ...]:
    if not blocks:
        return (Flag(code="window_missing", severity=Severity.VOID, detail="no window of this cell was recorded"),)
    power = {energy.block_id: energy.window.flags for energy in energies}
    by_block = [(*window_flags(block.window), *_power_flags(block, power.get(block.block_id, ())))
                for block in blocks]
    found = merge_flags(by_block, some_usable=bool(usable))
    measured = [energy for energy in energies if energy.gross_j is not None]
    if measured and all(energy.net_j is None for energy in measured):
        found += (Flag(code="idle_unknown", severity=Severity.INFO, detail="no usable idle with the same rails"),)
    if profile.origin is Origin.SIMULATED and measured:
        found += (Flag(code="simulated_power", severity=Severity.INFO, detail=profile.title),)
    return found


def _power_flags(block: BlockWindows, flags: Sequence[Flag]) -> tuple[Flag, ...]:
    """A lack of sources is said only where the agent did not already find one that it could not read."""
    is_unreadable = any(flag.code == "power_unreadable" for flag in block.window.flags)
    return tuple(flag for flag in flags if not (is_unreadable and flag.code in _NO_SOURCE))


def _latency(windows: Sequence[Window], percent: int) -> Interval | None:
    return across_blocks([percentile_ns(window.latency_ns, percent) for window in windows])


def _duration_s(window: Window) -> float:
    return ((window.mark_ns("window_end") or 0) - (window.mark_ns("window_start") or 0)) * 1e-9


def _median(values: Iterable[float]) -> float | None:
    found = list(values)
    return float(statistics.median(found)) if found else None


def _median_ns(values: Iterable[int | None]) -> int | None:
    found = [value for value in values if value is not None]
    return round(statistics.median(found)) if found else None


def _mean(values: Iterable[float | None]) -> float | None:
    found = [value for value in values if value is not None]
    return mean_of(found) if found else None


def _total(values: Iterable[int | None]) -> int | None:
    found = [value for value in values if value is not None]
    return sum(found) if found else None
