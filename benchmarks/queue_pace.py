"""How long devices stand idle between blocks, and whether eight of them take longer than one."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.sleeping_board import SleepingBoard
from benchmarks.table import Row
from lab import wiring
from lab.campaigns.base import Services
from lab.campaigns.beside_device import measure_block
from lab.campaigns.order_json import order_to_json
from lab.campaigns.planning import block_plan, expand
from lab.domain.artifact import Artifact, CompressedModel
from lab.domain.block import BlockOrder
from lab.domain.campaign import PROTOCOLS, Campaign, Protocol, Settings, StepSpec, Technique
from lab.domain.device import Device
from lab.wiring import queue
from tests.support.campaigns import write_pair
from tests.support.scripted_agent import bundle

IDLE_LIMIT_S = 0.3
MAKESPAN_LIMIT_RATIO = 1.2
PROFILE = "linux-sbc"
FIRST = 3
"""Blocks of the first stage where the later ones are decided one by one."""

SPREAD_RATIO = 0.5
"""So unsteady that the stopping rule asks for all blocks: each one after the first stage is decided anew."""

TECHNIQUES = (Technique(name="baseline"), *(
    Technique(name=f"int8-{number}", steps=(StepSpec(name="quantize_static", params=(("bits", number),)),))
    for number in (8, 4)))


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One campaign: from submitting to its end, and every gap of every device in order; seconds."""

    makespan_s: float
    gaps_s: tuple[tuple[float, ...], ...]


def protocol_of(blocks: int, first: int, block_s: float) -> Protocol:
    """Blocks of about so many seconds, of which the first stage has `first`."""
    part_ns = round(block_s * 1e9 / (len(TECHNIQUES) + 2))
    return replace(PROTOCOLS["standard"], window_ns=part_ns * 9 // 10, warmup_ns=part_ns // 10, idle_ns=part_ns,
                   inferences_min=1, blocks_min=first, blocks_max=blocks)


def idle_rows(folder: Path, *, blocks: int, block_s: float, where: str) -> list[Row]:
    """Two rows: blocks that were queued ahead, and blocks that are decided after the one before them."""
    bare_s = statistics.median(bare_gaps_s(folder / "bare", blocks, block_s))
    rows = []
    for what, first in (("queued ahead", blocks), ("decided one by one", FIRST)):
        with boards(folder / f"first-{first}", 1) as (services, known):
            gaps_s = measure(services, known, protocol_of(blocks, first, block_s)).gaps_s[0]
        counted = gaps_s if first == blocks else gaps_s[FIRST - 1:]
        rows.append(idle_row(f"device idle between blocks {what}, {where}", counted, bare_s, blocks))
    return rows


def idle_row(what: str, gaps_s: Sequence[float], bare_s: float, blocks: int) -> Row:
    """Median of the gaps, against the same blocks one after the other without a queue."""
    if not gaps_s:
        return Row(what, "-", f"{bare_s:.3f} s", "unknown", f"p50 ≤ {IDLE_LIMIT_S} s", False, "no gaps were seen")
    p50_s = statistics.median(gaps_s)
    return Row(what, f"{p50_s:.3f} s", f"{bare_s:.3f} s", f"{p50_s / bare_s:.1f}", f"p50 ≤ {IDLE_LIMIT_S} s",
               p50_s <= IDLE_LIMIT_S, f"{len(gaps_s)} gaps of {blocks} blocks, longest {max(gaps_s):.3f} s; lease "
               "back to lease taken; reference: measure_block in a loop")


def makespan_row(folder: Path, *, devices: int, blocks: int, block_s: float, where: str) -> Row:
    """So many devices with so many times the work, against one."""
    found = {}
    for count in (1, devices):
        with boards(folder / str(count), count) as (services, known):
            found[count] = measure(services, known, protocol_of(blocks, blocks, block_s)).makespan_s
    ratio = found[devices] / found[1]
    return Row(f"makespan: {devices} devices ÷ 1, {where}", f"{found[devices]:.2f} s", f"{found[1]:.2f} s",
               f"{ratio:.2f}", f"≤ {MAKESPAN_LIMIT_RATIO}", ratio <= MAKESPAN_LIMIT_RATIO,
               f"submit to done, {blocks} blocks of {block_s:g} s on each")


@contextmanager
def boards(home: Path, count: int) -> Iterator[tuple[Services, dict[str, SleepingBoard]]]:
    """Services whose devices are sleeping boards and whose techniques cost nothing."""
    known = {f"board-{number}": SleepingBoard(number, SPREAD_RATIO) for number in range(count)}
    with wiring.open_services(home=home) as services:
        for name in known:
            services.store.save_device(Device(name=name, url=f"ssh://{name}", profile=PROFILE))

        def compressed(workload, technique, seed, *_rest) -> CompressedModel:  # noqa: ARG001 the signature is CompressorFor
            sha256 = services.store.artifacts.add_bytes(technique.name.encode())
            return CompressedModel(technique=technique.name, seed=seed, outcomes=(), artifact=Artifact(
                sha256=sha256, size_bytes=1, format="onnx", opset=13, ir_version=7, parent_sha256=None, step=None,
                parameters=1, macs=1, accuracy_ratio=None, metric=None, compress_ns=1))

        yield replace(services, bundle=bundle, compress=compressed,
                      transport=lambda device, _profile: known[device.name].transport()), known


def measure(services: Services, known: dict[str, SleepingBoard], protocol: Protocol) -> Seen:
    """One campaign over all boards, by a worker of this process; raises RuntimeError unless it ends well."""
    with queue.open_engine(services) as engine, queue.work(services):
        begun_s = time.monotonic()
        campaign_id = engine.submit(campaign_of(services, known, protocol))
        while not queue.has_ended(engine, campaign_id):
            time.sleep(0.05)
        makespan_s = time.monotonic() - begun_s
    if services.store.campaign(campaign_id).state != "done":
        said = [event.message for event in services.store.events(campaign_id) if event.message]
        raise RuntimeError(f"the campaign did not end well: {said[-1:]}")
    return Seen(makespan_s=makespan_s, gaps_s=tuple(tuple(board.gaps_s()) for board in known.values()))


def campaign_of(services: Services, known: dict[str, SleepingBoard], protocol: Protocol) -> Campaign:
    """All techniques on all boards."""
    return Campaign(name="pace", owner="benchmarks", workload=write_pair(services.home / "pair"),
                    techniques=TECHNIQUES, seeds=(0,), devices=tuple(known), settings=(Settings(),), protocol=protocol)


def bare_gaps_s(home: Path, blocks: int, block_s: float) -> list[float]:
    """The same blocks without a queue, one after the other."""
    with boards(home, 1) as (services, known):
        campaign = campaign_of(services, known, protocol_of(blocks, blocks, block_s))
        profile, profile_sha256 = services.profile(PROFILE)
        device = services.store.device("board-0")
        cells = expand(campaign, "0" * 64, {device.name: (profile, profile_sha256)})
        made = {cell.id: services.store.artifacts.add_bytes(cell.technique.name.encode()) for cell in cells}
        for number in range(1, blocks + 1):
            plan = block_plan(cells, campaign_id="bare", number=number, attempt=1, artifacts=made, inputs={},
                              profile=profile)
            order = BlockOrder(campaign_id="bare", target=device, profile=profile, plan=plan)
            measure_block(order_to_json(order), services.host)
        return known["board-0"].gaps_s()
