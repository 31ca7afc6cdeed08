"""From a campaign to cells, from cells to balanced blocks, from a block to what the agent executes; pure."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping, Sequence

from agents.wire.plan import BlockPlan, LoadPlan, WindowPlan
from lab.domain.block import Cell, cell_id_of
from lab.domain.campaign import Campaign, Load, Protocol, Settings, Technique
from lab.domain.device import DeviceProfile
from lab.errors import ConfigError

CANDIDATES_MAX = 6
"""Candidates beside the baseline in one block: more would let the device drift between the two ends of it."""

BASELINE = Technique(name="baseline")

_DEADLINE_FACTOR = 3
_DEADLINE_EXTRA_NS = 60_000_000_000


def expand(campaign: Campaign, workload_sha256: str,
           profiles: Mapping[str, tuple[DeviceProfile, str]]) -> tuple[Cell, ...]:
    """Every cell of a campaign: device by device, setting by setting, the baseline first in each.

    `profiles` maps device name to its profile and the profile's SHA-256. The baseline has one cell whatever the
    seeds. Raises ConfigError for a device without profile, a setting the device cannot run, or two techniques of
    the same steps.
    """
    candidates = [(technique, seed) for technique in campaign.techniques if not technique.is_baseline
                  for seed in campaign.seeds]
    cells: dict[str, Cell] = {}
    for device in campaign.devices:
        profile, profile_sha256 = _profile_of(device, profiles)
        for settings in campaign.settings:
            _check_settings(device, profile, settings)
            for technique, seed in ((BASELINE, 0), *candidates):
                cell_id = cell_id_of(workload_sha256=workload_sha256, technique=technique, seed=seed, device=device,
                                     profile_sha256=profile_sha256, settings=settings, protocol=campaign.protocol)
                if cell_id in cells:
                    raise ConfigError(
                        f"campaign {campaign.name}: {technique.name} and {cells[cell_id].technique.name} are "
                        f"the same cell on {device} (steps, seed and settings agree). Leave one of them out.")
                cells[cell_id] = Cell(
                    id=cell_id, workload=campaign.workload, workload_sha256=workload_sha256, technique=technique,
                    seed=seed, device=device, profile_sha256=profile_sha256, settings=settings,
                    protocol=campaign.protocol)
    return tuple(cells.values())


def groups_of(cells: Sequence[Cell]) -> tuple[tuple[Cell, ...], ...]:
    """The cells of one device in groups that share their blocks: the baseline first, then at most six candidates.

    Cells of different settings never share a group. More than six candidates make several groups, their sizes within
    one of each other, joined through the baseline. Raises ConfigError where a setting has no baseline cell.
    """
    by_settings: dict[Settings, list[Cell]] = {}
    for cell in cells:
        by_settings.setdefault(cell.settings, []).append(cell)
    groups: list[tuple[Cell, ...]] = []
    for settings, members in by_settings.items():
        baselines = [cell for cell in members if cell.technique.is_baseline]
        if len(baselines) != 1:
            raise ConfigError(f"blocks of {members[0].device} at {settings}: expected one baseline cell, got "
                              f"{len(baselines)}. Every block compares with the baseline.")
        candidates = [cell for cell in members if not cell.technique.is_baseline]
        count = max(1, -(-len(candidates) // CANDIDATES_MAX))
        groups += [(baselines[0], *candidates[start::count]) for start in range(count)]
    return tuple(groups)


def order_block(cells: Sequence[Cell], number: int, order_seed: int) -> tuple[Cell, ...]:
    """The seeded order of one block, baseline included; the order in which cells are given does not matter.

    Orders are rows of a balanced Latin square (E. J. Williams 1949) with seeded labels in seeded sequence: over one
    cycle of blocks every cell stands at every position, and after every other cell, equally often. So neither
    drift nor the heat a neighbour leaves behind favours one technique. A new cycle draws new labels.
    """
    rows = williams_rows(len(cells))
    cycle, index = divmod(number, len(rows))
    source = random.Random(f"order {order_seed} {cycle}")
    labels = sorted(cells, key=lambda cell: cell.id)
    source.shuffle(labels)
    sequence = list(range(len(rows)))
    source.shuffle(sequence)
    return tuple(labels[position] for position in rows[sequence[index]])


def williams_rows(size: int) -> tuple[tuple[int, ...], ...]:
    """Orders of `size` items, balanced for position and predecessor: `size` rows, for odd sizes twice as many."""
    zigzag = [0, *((step + 1) // 2 if step % 2 else size - step // 2 for step in range(1, size))]
    rows = [tuple((item + shift) % size for item in zigzag) for shift in range(size)]
    if size % 2 and size > 1:
        rows += [tuple(reversed(row)) for row in rows]
    return tuple(rows)


def block_plan(cells: Sequence[Cell], *, campaign_id: str, number: int, attempt: int,
               artifacts: Mapping[str, str], inputs: Mapping[int, str], profile: DeviceProfile) -> BlockPlan:
    """What the agent executes for one ordered block.

    `artifacts` maps cell id to the artifact's SHA-256, `inputs` maps batch to the SHA-256 of the sample input; without
    an entry the agent makes an input up. Raises ConfigError for a cell whose artifact does not exist yet.
    """
    first = cells[0]
    missing = [cell.technique.name for cell in cells if cell.id not in artifacts]
    if missing:
        raise ConfigError(f"block {number} on {first.device}: no artifact for {', '.join(missing)}. Compress it first.")
    protocol = first.protocol
    return BlockPlan(
        block_id=block_id_of(campaign_id, first.device, number, cells), number=number, attempt=attempt,
        windows=tuple(_window(cell, artifacts[cell.id], inputs.get(cell.settings.batch)) for cell in cells),
        idle_ns=protocol.idle_ns, probes=tuple(name for name in profile.probes if name != "memory"),
        sample_rate_hz=protocol.sample_rate_hz, window_deadline_ns=window_deadline_ns(protocol),
        state=first.settings.device_state,
    )


def window_deadline_ns(protocol: Protocol) -> int:
    """When a window is given up: three times its length, and a minute to start a process and load a model."""
    return (protocol.warmup_ns + protocol.window_ns) * _DEADLINE_FACTOR + _DEADLINE_EXTRA_NS


def block_id_of(campaign_id: str, device: str, number: int, cells: Sequence[Cell]) -> str:
    """Name of one block, the same for all its attempts: the same arguments give the same name, others another."""
    parts = [campaign_id, device, str(number), *(cell.id for cell in cells)]
    digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
    return f"b{number:03d}-{digest}"


def _window(cell: Cell, artifact_sha256: str, inputs_sha256: str | None) -> WindowPlan:
    settings, protocol = cell.settings, cell.protocol
    return WindowPlan(
        cell_id=cell.id, artifact_sha256=artifact_sha256, inputs_sha256=inputs_sha256, runtime=settings.runtime,
        threads=settings.threads, batch=settings.batch, warmup_ns=protocol.warmup_ns, length_ns=protocol.window_ns,
        inferences_min=protocol.inferences_min, load=_load(settings.load),
    )


def _load(load: Load) -> LoadPlan:
    return LoadPlan(kind=load.kind, rate_hz=load.rate_hz, deadline_ns=load.deadline_ns)


def _profile_of(device: str, profiles: Mapping[str, tuple[DeviceProfile, str]]) -> tuple[DeviceProfile, str]:
    if device not in profiles:
        known = ", ".join(sorted(profiles)) or "none"
        raise ConfigError(f"devices: {device!r} is not registered (known: {known}). "
                          f"Add it with `lab devices add {device} URL`.")
    return profiles[device]


def _check_settings(device: str, profile: DeviceProfile, settings: Settings) -> None:
    limit = profile.limits.threads_max
    if limit is not None and settings.threads > limit:
        raise ConfigError(f"settings.threads: {device} ({profile.title}) runs at most {limit} threads, got "
                          f"{settings.threads}. Ask for fewer, or leave the device out.")
