"""One technique against the baseline, inside the blocks that hold both.

Within a block both were measured minutes apart on the same device, so what drifts from day to day cancels. The ratio
is the geometric mean over shared blocks, its interval Student's t on the logarithms of the blocks' ratios. For
energy, a sensor's gain cancels in a ratio too; its offset does not, where the two draw unlike power, and is added.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, TypeAlias

from lab.domain.device import DeviceProfile
from lab.domain.flags import Flag, Severity
from lab.domain.recording import BlockWindows
from lab.domain.result import Comparison, Contribution

from .energy import BlockEnergy
from .estimates import BLOCKS_MIN, coverage_factor, mean_of, standard_error
from .latency import percentile_ns
from .quality import ABSENT_POWER, merge_flags, usable_blocks
from .summarise import consistent_energies
from .uncertainty import combined

ComparedMetric: TypeAlias = Literal["latency_p50_ns", "energy_gross_j"]
Answer: TypeAlias = Literal["better", "worse", "not distinguishable", "unknown"]


def compare(metric: ComparedMetric, cell_id: str, blocks: Sequence[BlockWindows], baseline_cell_id: str,
            baseline_blocks: Sequence[BlockWindows], profile: DeviceProfile) -> Comparison:
    """Ratio of a cell to its baseline in one metric; lower is better for both metrics.

    Only blocks in which both have a usable window count. With fewer than three the interval is None and the answer
    "unknown"; without any the ratio itself is NaN, and the flags say what is missing.
    """
    if metric == "latency_p50_ns":
        values, base = _medians(blocks), _medians(baseline_blocks)
        reasons: tuple[Flag, ...] = ()
        offset = 0.0
    else:
        own, other = consistent_energies(usable_blocks(blocks), profile), consistent_energies(
            usable_blocks(baseline_blocks), profile)
        values, base = _energies(own), _energies(other)
        reasons = merge_flags([energy.window.flags for energy in (*own, *other)], some_usable=True)
        offset = _offset_ratio(own, other)
    shared = sorted(set(values) & set(base))
    logs = [math.log(values[block_id] / base[block_id]) for block_id in shared]
    low, high = _ends(logs, offset)
    return Comparison(metric=metric, cell_id=cell_id, baseline_cell_id=baseline_cell_id,
                      ratio=math.exp(mean_of(logs)) if logs else math.nan, low_ratio=low, high_ratio=high,
                      n_blocks=len(shared), answer=_answer(low, high), flags=_flags(len(shared), reasons))


def _medians(blocks: Sequence[BlockWindows]) -> dict[str, float]:
    medians = {block.block_id: percentile_ns(block.window.latency_ns, 50) for block in usable_blocks(blocks)}
    return {block_id: float(value) for block_id, value in medians.items() if value > 0}


def _energies(energies: Sequence[BlockEnergy]) -> dict[str, float]:
    return {energy.block_id: energy.gross_j for energy in energies if energy.gross_j is not None}


def _ends(logs: Sequence[float], offset: float) -> tuple[float | None, float | None]:
    if len(logs) < BLOCKS_MIN:
        return None, None
    uncertainty, degrees = combined((
        Contribution(name="blocks", kind="A", standard_uncertainty=standard_error(logs),
                     degrees_of_freedom=float(len(logs) - 1)),
        Contribution(name="offset", kind="B", standard_uncertainty=offset, degrees_of_freedom=math.inf)))
    half = coverage_factor(degrees) * uncertainty
    return math.exp(mean_of(logs) - half), math.exp(mean_of(logs) + half)


def _offset_ratio(own: Sequence[BlockEnergy], other: Sequence[BlockEnergy]) -> float:
    """Relative standard uncertainty of the ratio from the rails' offsets: they weigh more on the lower power."""
    measured = [[energy for energy in energies if energy.window.mean_power_w] for energies in (own, other)]
    if not all(measured):
        return 0.0
    powers = [mean_of([energy.window.mean_power_w or 0.0 for energy in energies]) for energies in measured]
    offsets = [each.rail.offset_limit_w or 0.0 for each in measured[0][0].window.rails]
    return math.hypot(*offsets) / math.sqrt(3) * abs(1 / powers[0] - 1 / powers[1])


def _answer(low: float | None, high: float | None) -> Answer:
    if low is None or high is None:
        return "unknown"
    if high < 1:
        return "better"
    return "worse" if low > 1 else "not distinguishable"


def _flags(n_shared: int, reasons: Sequence[Flag]) -> tuple[Flag, ...]:
    if n_shared >= BLOCKS_MIN:
        return ()
    absent = tuple(flag for flag in reasons if flag.code in ABSENT_POWER)
    if absent and not n_shared:
        return absent
    return (Flag(code="few_blocks", severity=Severity.DEGRADED,
                 detail=f"{n_shared} blocks hold both this cell and the baseline, at least {BLOCKS_MIN} are needed"),)
