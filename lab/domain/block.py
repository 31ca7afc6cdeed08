"""Cells and blocks: what is measured, and the unit it is measured in.

The block plan itself is the agent's language, so it is defined once, in `agents.wire.plan`.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

from agents.wire.plan import BlockPlan, LoadPlan, WindowPlan

from .campaign import Protocol, Settings, Technique
from .device import Device, DeviceProfile

__all__ = ["BlockManifest", "BlockOrder", "BlockPlan", "Cell", "LoadPlan", "ManifestEntry", "WindowPlan", "cell_id_of"]


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One technique on one device under one setting; `id` is the hash of all that defines it."""

    id: str
    workload: str
    workload_sha256: str
    technique: Technique
    seed: int
    device: str
    profile_sha256: str
    settings: Settings
    protocol: Protocol
    artifact_sha256: str | None = None


def cell_id_of(*, workload_sha256: str, technique: Technique, seed: int, device: str, profile_sha256: str,
               settings: Settings, protocol: Protocol) -> str:
    """SHA-256 over canonical JSON of what defines a cell; names of campaigns and versions stay out.

    The technique's own name stays out too: two names for the same steps are the same cell.
    """
    steps = [[step.name, sorted(step.params)] for step in technique.steps]
    protocol_fields = asdict(protocol)
    for key in ("target_ci_ratio", "blocks_min", "blocks_max", "budget_ns", "order_seed"):
        del protocol_fields[key]  # how many blocks, not what one block is
    identity = {
        "workload": workload_sha256, "steps": steps, "seed": seed if steps else 0, "device": device,
        "profile": profile_sha256, "settings": asdict(settings), "protocol": protocol_fields,
    }
    text = json.dumps(identity, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class ManifestEntry:
    """One window in the host spool."""

    cell_id: str
    position: int
    sha256: str
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class BlockManifest:
    """What a finished block left in the host spool: references, never data."""

    block_id: str
    device: str
    number: int
    attempt: int
    state: str
    entries: tuple[ManifestEntry, ...]
    error: str | None = None
    fence: int | None = None


@dataclass(frozen=True, kw_only=True)
class BlockOrder:
    """One block to measure on one device; artifacts and inputs are named by hash, never carried.

    Device and profile travel with it: the host that measures may have no database.
    """

    campaign_id: str
    target: Device
    profile: DeviceProfile
    plan: BlockPlan

    @property
    def device(self) -> str:
        """The device's name."""
        return self.target.name
