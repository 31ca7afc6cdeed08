"""The seam between measuring and queueing: what an engine is given, and what it must be able to do."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

from lab.domain.artifact import CompressedModel
from lab.domain.campaign import Campaign, Technique
from lab.domain.device import Device, DeviceFacts, DeviceProfile
from lab.store.store import Store
from lab.transports.base import AgentBundle, Transport
from lab.workloads.base import Workload

Stage: TypeAlias = Literal["prepare", "compress", "connect", "upload", "measure", "analyse"]


@dataclass(frozen=True, kw_only=True)
class ProgressEvent:
    """Something a person watching a campaign wants to see; `fraction` is how far this stage is."""

    stage: Stage
    subject: str
    text: str
    fraction: float | None = None


Listener: TypeAlias = Callable[[ProgressEvent], None]


def ignore_events(_event: ProgressEvent) -> None:
    """A listener for those who do not watch."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a campaign stands, readable without running anything."""

    campaign_id: str
    state: str
    cells_total: int
    cells_done: int
    cells_failed: int


class CompressorFor(Protocol):
    """Applies a technique to a workload for a device with these facts, from cache where possible."""

    def __call__(self, workload: Workload, technique: Technique, seed: int, facts: DeviceFacts,
                 profile: DeviceProfile, progress: Callable[[str, float], None]) -> CompressedModel:
        """The compressed model; raises CompressionError."""


@dataclass(frozen=True, kw_only=True)
class Services:
    """What wiring built: every outside thing a campaign needs, as values and functions."""

    home: Path
    store: Store
    bundle: Callable[[], AgentBundle]
    transport: Callable[[Device, DeviceProfile], Transport]
    profile: Callable[[str], tuple[DeviceProfile, str]]
    workload: Callable[[str], Workload]
    compress: CompressorFor
    owner: str
    home_id: str
    listener: Listener = ignore_events
    reconnects_max: int = 6
    pause: Callable[[float], None] = time.sleep


class Engine(Protocol):
    """Decides what happens next; holds no measurement."""

    def submit(self, campaign: Campaign) -> str:
        """Accept a campaign and return its id."""

    def cancel(self, campaign_id: str) -> None:
        """Stop it between blocks; what was measured stays."""

    def resume(self, campaign_id: str) -> None:
        """Go on with what is not done."""

    def progress(self, campaign_id: str) -> Progress:
        """Where it stands."""
