"""When enough blocks have been measured: Stein's two-stage rule, bounded by blocks and by time; pure.

Stein (Ann. Math. Statist. 16, 1945): the spread seen in a first stage of fixed size says how many blocks the second
needs, and that number is then kept. Looking again after every block and stopping at the first narrow interval gives
intervals that cover less often than they claim, so callers should pass the half-widths of the first stage.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from lab.domain.campaign import Protocol

BLOCKS_FOR_INTERVAL = 3
"""Fewer shared blocks give no interval at all."""


@dataclass(frozen=True, kw_only=True)
class Decision:
    """Whether to measure another block, and why (for people)."""

    more: bool
    reason: str


def first_stage_blocks(protocol: Protocol) -> int:
    """How many blocks the first stage has; from them the rest is planned."""
    return min(max(protocol.blocks_min, BLOCKS_FOR_INTERVAL), protocol.blocks_max)


def planned_blocks(protocol: Protocol, half_widths: Mapping[str, float | None], blocks_seen: int) -> int:
    """Blocks needed for the widest cell to reach the target, at least the first stage and at most `blocks_max`.

    `half_widths` maps cell id to the half-width of its 95 % interval relative to the value, over `blocks_seen` blocks.
    With half-width h there, s = h·√n₀/t, and n = (t·s/d)² becomes n₀·(h/d)². A cell without a half-width (its windows
    failed) cannot ask for more.
    """
    known = [width for width in half_widths.values() if width is not None]
    needed = max((blocks_seen * (width / protocol.target_ci_ratio) ** 2 for width in known), default=0.0)
    if needed >= protocol.blocks_max or not all(map(math.isfinite, known)):
        return protocol.blocks_max
    return min(max(first_stage_blocks(protocol), math.ceil(needed)), protocol.blocks_max)


def needs_more(protocol: Protocol, blocks_done: int, half_widths: Mapping[str, float | None], spent_ns: int, *,
               blocks_seen: int | None = None, blocks_timed: int | None = None) -> Decision:
    """Decide after `blocks_done` blocks of one device, of which the last `blocks_timed` (or all) took `spent_ns`.

    `half_widths` as in `planned_blocks`, over the first `blocks_seen` blocks: pass `first_stage_blocks` for Stein's
    rule; left out, they are taken to be over all blocks done. They are not read before the first stage is complete.
    The preset `quick` ends at `blocks_min`. The budget ends a campaign before a block that would probably exceed it.
    """
    if blocks_done == 0:
        return Decision(more=True, reason="nothing is measured yet")
    if blocks_done >= protocol.blocks_max:
        return Decision(more=False, reason=f"the limit of {protocol.blocks_max} blocks is reached")
    each_ns = spent_ns / max(blocks_done if blocks_timed is None else blocks_timed, 1)
    if protocol.budget_ns is not None and spent_ns + each_ns > protocol.budget_ns:
        return Decision(more=False, reason=f"another block would exceed the budget: {spent_ns / 1e9:.0f} s of "
                                           f"{protocol.budget_ns / 1e9:g} s are spent")
    if blocks_done < protocol.blocks_min:
        return Decision(more=True, reason=f"{blocks_done} of at least {protocol.blocks_min} blocks are measured")
    if protocol.preset == "quick":
        return Decision(more=False, reason=f"the quick preset ends at {protocol.blocks_min} blocks")
    if blocks_done < first_stage_blocks(protocol):
        return Decision(more=True, reason=f"an interval needs {BLOCKS_FOR_INTERVAL} blocks")
    if all(width is None for width in half_widths.values()):
        return Decision(more=False, reason="no technique has an interval that more blocks would narrow")
    return _second_stage(protocol, blocks_done, half_widths, blocks_seen or blocks_done)


def _second_stage(protocol: Protocol, blocks_done: int, half_widths: Mapping[str, float | None],
                  blocks_seen: int) -> Decision:
    planned = planned_blocks(protocol, half_widths, blocks_seen)
    target = f"± {100 * protocol.target_ci_ratio:g} %"
    if blocks_done < planned:
        return Decision(more=True, reason=f"{blocks_done} of {planned} blocks planned for {target} are measured")
    return Decision(more=False, reason=f"the {planned} blocks planned for {target} are measured")
