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

from .recovery import backoff_s

Stage: TypeAlias = Literal["prepare", "compress", "connect", "upload", "measure", "analyse"]


@dataclass(frozen=True, kw_only=True)
class ProgressEvent:
    """Something a person watching a campaign wants to see; `fraction` is how far this stage is."""

    stage: Stage
    subject: str
    text: str
    fraction: float | None = None


Listener: TypeAlias = Callable[[ProgressEvent], None]


STORAGE = "storage"
"""Subject of what is said about the controller's disk and the shared files: its text is why it waits, or empty."""


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


class Shared(Protocol):
    """Files that controller and workers on other machines both reach, by kind and SHA-256."""

    def push(self, kind: Literal["artifacts", "recordings"], sha256: str, path: Path) -> int:
        """Put a file there; returns the bytes sent, 0 if it was there."""

    def pull(self, kind: Literal["artifacts", "recordings"], sha256: str, to: Path) -> None:
        """Fetch a file, its hash checked."""

    def has(self, kind: Literal["artifacts", "recordings"], sha256: str) -> bool:
        """Whether a file is there."""

    def remove(self, kind: Literal["artifacts", "recordings"], sha256: str) -> None:
        """Forget a file."""


def never_stop() -> bool:
    """For measuring that nobody can cancel."""
    return False


def by_recovery(failures: int, seed: str) -> float:
    """Seconds before a device is tried again after so many failures in a row."""
    return backoff_s(failures, seed=seed)


def nobody_is_told(_campaign_id: str, _what: str, _why: str | None) -> None:
    """For campaigns whose end nobody asked to hear of."""


@dataclass(frozen=True, kw_only=True)
class HostServices:
    """What a worker beside a device needs to measure a block there; it has no database.

    `artifact` gives the local file of a hash, fetching it from the shared files if need be. `should_stop` is asked
    while a block goes on, from another thread; true ends the block on the device.
    """

    home: Path
    bundle: Callable[[], AgentBundle]
    transport: Callable[[Device, DeviceProfile], Transport]
    artifact: Callable[[str], Path]
    owner: str
    listener: Listener = ignore_events
    should_stop: Callable[[], bool] = never_stop
    reconnects_max: int = 6
    pause: Callable[[float], None] = time.sleep
    shared: Shared | None = None


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
    shared: Shared | None = None
    notify: Callable[[str, str, str | None], None] = nobody_is_told
    backoff: Callable[[int, str], float] = by_recovery

    @property
    def host(self) -> HostServices:
        """The part that measuring needs, for a controller that has the device at hand."""
        return HostServices(home=self.home, bundle=self.bundle, transport=self.transport,
                            artifact=self.store.artifacts.path, owner=self.owner, listener=self.listener,
                            reconnects_max=self.reconnects_max, pause=self.pause, shared=self.shared)


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
