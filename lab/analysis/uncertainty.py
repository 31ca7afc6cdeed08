"""What an energy figure is worth: a budget of contributions, combined as in JCGM 100 (GUM).

Type A is the spread over blocks. Type B comes from the limits that a sensor's maker states, taken as rectangular
distributions: gain and offset limits ± a give a/√3, a resolution step q gives q/√12. They do not shrink with more
blocks. All rails' contributions are taken as independent.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from lab.domain.device import Rail
from lab.domain.result import Contribution, Quantity

from .energy import BlockEnergy
from .estimates import BLOCKS_MIN, coverage_factor, mean_of, standard_error

_LIMIT = math.sqrt(3)
_STEP = math.sqrt(12)


def gross_quantity(blocks: Sequence[BlockEnergy]) -> Quantity | None:
    """Energy per inference, all of it; None without a block that has it."""
    usable = [block for block in blocks if block.gross_j is not None]
    budget = [*_gain(usable, 1.0), *_offset(usable), *_resolution(usable, 1.0)]
    return _quantity([block.gross_j for block in usable if block.gross_j is not None], budget)


def net_quantity(blocks: Sequence[BlockEnergy]) -> Quantity | None:
    """Energy per inference beyond idling; None without a block that has it.

    An offset is in the window and in the idle alike, so it drops out; a gain error stays, on what is left. How idle
    drifted from before to after the window is a contribution of its own.
    """
    usable = [block for block in blocks if block.net_j is not None]
    if not usable:
        return None
    gross_j = mean_of([block.gross_j for block in usable if block.gross_j is not None])
    values = [block.net_j for block in usable if block.net_j is not None]
    share = abs(mean_of(values)) / gross_j
    drifts = [block.idle_drift_w * block.inference_s for block in usable if block.idle_drift_w is not None]
    budget = [*_gain(usable, share), *_resolution(usable, math.sqrt(2))]
    if drifts:
        budget.append(_type_b("idle drift", mean_of(drifts) / _STEP))
    return _quantity(values, budget)


def type_a_ratio(quantity: Quantity) -> float | None:
    """Half-width of the 95 % interval that more blocks could narrow, relative to the value; None if not known."""
    spread = next((line for line in quantity.budget if line.kind == "A"), None)
    if spread is None or quantity.value == 0:
        return None
    return spread.standard_uncertainty * coverage_factor(spread.degrees_of_freedom) / abs(quantity.value)


def combined(budget: Sequence[Contribution]) -> tuple[float, float]:
    """Standard uncertainty and effective degrees of freedom of independent contributions (Welch–Satterthwaite)."""
    total = math.sqrt(math.fsum(line.standard_uncertainty**2 for line in budget))
    if total == 0:
        return 0.0, min((line.degrees_of_freedom for line in budget), default=math.inf)
    shares = math.fsum((line.standard_uncertainty / total) ** 4 / line.degrees_of_freedom for line in budget)
    return total, 1 / shares if shares else math.inf


def _quantity(values: Sequence[float], type_b: Sequence[Contribution]) -> Quantity | None:
    if not values:
        return None
    if len(values) < BLOCKS_MIN:
        return Quantity(value=mean_of(values), standard_uncertainty=None, coverage_factor=None,
                        degrees_of_freedom=None, budget=tuple(type_b))
    spread = Contribution(name="blocks", kind="A", standard_uncertainty=standard_error(values),
                          degrees_of_freedom=float(len(values) - 1))
    budget = (spread, *type_b)
    uncertainty, degrees = combined(budget)
    return Quantity(value=mean_of(values), standard_uncertainty=uncertainty, coverage_factor=coverage_factor(degrees),
                    degrees_of_freedom=degrees, budget=budget)


def _gain(blocks: Sequence[BlockEnergy], factor: float) -> list[Contribution]:
    return [_type_b(f"gain {name}", factor * energy_j * rail.gain_limit_ratio / _LIMIT)
            for name, rail, energy_j in _rails(blocks) if rail.gain_limit_ratio]


def _offset(blocks: Sequence[BlockEnergy]) -> list[Contribution]:
    return [_type_b(f"offset {name}", rail.offset_limit_w * _inference_s(blocks) / _LIMIT)
            for name, rail, _ in _rails(blocks) if rail.offset_limit_w]


def _resolution(blocks: Sequence[BlockEnergy], factor: float) -> list[Contribution]:
    return [_type_b(f"resolution {name}", factor * rail.resolution_w * _inference_s(blocks) / _STEP)
            for name, rail, _ in _rails(blocks) if rail.resolution_w]


def _rails(blocks: Sequence[BlockEnergy]) -> list[tuple[str, Rail, float]]:
    """Name, profile line and mean energy per inference of every rail."""
    first = blocks[0].window.rails if blocks else ()
    return [(each.name, each.rail, mean_of([_of_rail(block, each.name) for block in blocks])) for each in first]


def _of_rail(block: BlockEnergy, name: str) -> float:
    return sum(each.energy_j for each in block.window.rails if each.name == name) / block.inferences


def _inference_s(blocks: Sequence[BlockEnergy]) -> float:
    return mean_of([block.inference_s for block in blocks])


def _type_b(name: str, standard_uncertainty: float) -> Contribution:
    return Contribution(name=name, kind="B", standard_uncertainty=standard_uncertainty, degrees_of_freedom=math.inf)
