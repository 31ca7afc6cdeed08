"""One block on one device: hand the plan over, let the agent work alone, fetch what it recorded.

A link that ends in the middle costs nothing: the agent goes on, and the next connection collects. `run_block` ends
with every window on this host's disk and a manifest beside them; `ingest` (see `lab.campaigns.ingest`) moves them into
the database.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple, Protocol

from agents.wire import IDLE_CELL
from lab.devices.session import AgentSession, SpoolEntry
from lab.domain.block import BlockManifest, BlockOrder, ManifestEntry
from lab.domain.device import Device, DeviceProfile
from lab.errors import ConnectFailed, ConnectionLost, LabError, ProtocolMismatch, TransportTimeout, WorkerDied
from lab.transports.base import AgentBundle, Transport

from .base import HostServices, Listener, ProgressEvent, never_stop
from .host_spool import HostSpool

_QUEUE_POLL_S = 30.0
_QUEUE_MAX_S = 24 * 3600.0
_LEASE_SPARE_S = 120.0
_PAUSE_MAX_S = 30.0
_STOP_POLL_S = 0.5


class HasHome(Protocol):
    """Anything that says where its LAB_HOME is."""

    @property
    def home(self) -> Path:
        """The folder."""


class Connecting(Protocol):
    """What opening a session needs; `Services` and `HostServices` both have it."""

    @property
    def listener(self) -> Listener:
        """Told about the connection."""

    @property
    def bundle(self) -> Callable[[], AgentBundle]:
        """Makes the agent."""

    @property
    def transport(self) -> Callable[[Device, DeviceProfile], Transport]:
        """Makes the way to the device."""


class BlockEnd(NamedTuple):
    """How a block ended on the device, and why if it failed."""

    state: str
    error: str | None


def host_spool(services: HasHome) -> HostSpool:
    """This host's folder of windows that are not in the database yet."""
    return HostSpool(services.home / "spool")


def run_block(order: BlockOrder, services: HostServices, *, may_start: bool = True) -> BlockManifest:
    """Measure one block, or collect it if the device has already done it; raises DeviceError.

    With `may_start` false a block the device knows nothing of ends as `unknown`, without windows.
    A lost link is followed by new connections after growing pauses, at most `reconnects_max` in a row.
    """
    device = order.target
    lost: LabError | None = None
    for attempt in itertools.count(1):
        try:
            return _run_over_one_link(order, services, may_start=may_start)
        except (ConnectionLost, TransportTimeout, ConnectFailed) as error:
            lost = error
        if attempt > services.reconnects_max:
            break
        pause_s = min(2.0 ** (attempt - 1), _PAUSE_MAX_S)
        services.listener(ProgressEvent(stage="connect", subject=device.name,
                                        text=f"link lost ({lost}); connecting again in {pause_s:g} s"))
        services.pause(pause_s)
    raise ConnectionLost(
        f"Device {device.name} could not be reached {services.reconnects_max + 1} times in a row during block "
        f"{order.plan.block_id}. What it measured stays on the device and is collected by the next `lab run`. "
        f"Last: {lost}"
    )


@contextmanager
def open_session(device: Device, profile: DeviceProfile, services: Connecting) -> Iterator[AgentSession]:
    """A conversation with the device's agent; errors carry the device's name as a note."""
    services.listener(ProgressEvent(stage="connect", subject=device.name, text="connecting"))
    try:
        with AgentSession.open(services.transport(device, profile), services.bundle()) as session:
            yield session
    except LabError as error:
        error.add_note(f"device: {device.name} ({device.url})")
        raise


def _run_over_one_link(order: BlockOrder, services: HostServices, *, may_start: bool) -> BlockManifest:
    with open_session(order.target, order.profile, services) as session:
        fence = session.acquire_lease(services.owner, order.plan.duration_max_ns() / 1e9 + _LEASE_SPARE_S)
        try:
            end = _state_in_the_end(session, order, fence, services, may_start=may_start)
            return _collect(session, order, end, fence, services)
        finally:
            _release_unless_running(session, order, fence)


def _state_in_the_end(session: AgentSession, order: BlockOrder, fence: int, services: HostServices, *,
                      may_start: bool) -> BlockEnd:
    """Start the block unless this attempt is known to the device, and wait for its end."""
    spool = host_spool(services)
    if order in spool.promised(order.device):
        status = session.wait_block(order.plan.block_id, 0.0)
        if status.state != "unknown":
            return _wait_for_end(session, order, fence, services)
    if not may_start:
        return BlockEnd("unknown", None)
    _send_artifacts(session, order, fence, services)
    spool.promise(order)
    session.start_block(order.plan, fence)
    return _wait_for_end(session, order, fence, services)


def _release_unless_running(session: AgentSession, order: BlockOrder, fence: int) -> None:
    """Others may have the device, except while it works for us; a dead link cannot tell, and the lease runs out."""
    with suppress(LabError):
        if session.wait_block(order.plan.block_id, 0.0).state != "running":
            session.release_lease(fence)


def _send_artifacts(session: AgentSession, order: BlockOrder, fence: int, services: HostServices) -> None:
    wanted = {window.artifact_sha256 for window in order.plan.windows}
    wanted |= {window.inputs_sha256 for window in order.plan.windows if window.inputs_sha256}
    for number, sha256 in enumerate(sorted(wanted)):
        def show(sent: int, total: int, number: int = number) -> None:
            services.listener(ProgressEvent(stage="upload", subject=order.device, text=f"{sent}/{total} bytes",
                                            fraction=(number + sent / max(total, 1)) / len(wanted)))

        session.put(services.artifact(sha256), sha256, fence, show)


def _wait_for_end(session: AgentSession, order: BlockOrder, fence: int, services: HostServices) -> BlockEnd:
    """The block's final state. While it measures nothing crosses the line; while it queues it is asked now and then."""
    duration_s = order.plan.duration_max_ns() / 1e9 + _LEASE_SPARE_S
    queued_s = 0.0
    with _stopping_on_demand(session, order, fence, services):
        status = session.wait_block(order.plan.block_id, 1.0)
        while status.state == "running" and status.waiting and queued_s < _QUEUE_MAX_S:
            services.listener(ProgressEvent(stage="measure", subject=order.device,
                                            text="waiting: something else is being measured on that machine"))
            status = session.wait_block(order.plan.block_id, _QUEUE_POLL_S)
            queued_s += _QUEUE_POLL_S
        if status.state == "running":
            status = session.wait_block(order.plan.block_id, duration_s)
    if status.state == "running":
        raise WorkerDied(f"Block {order.plan.block_id} on {order.device} did not end within its own deadline of "
                         f"{duration_s:.0f} s. Check the device with `lab devices check {order.device}`.")
    return BlockEnd(status.state, status.error)


@contextmanager
def _stopping_on_demand(session: AgentSession, order: BlockOrder, fence: int, services: HostServices
                        ) -> Iterator[None]:
    """Ends the block on the device once `should_stop` says so; asks here, so that the line stays quiet till then."""
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(_STOP_POLL_S):
            if services.should_stop():
                with suppress(LabError):  # a dead link: the main thread meets it as well
                    session.cancel_block(order.plan.block_id, fence)
                return

    if services.should_stop is never_stop:
        yield
        return
    watcher = threading.Thread(target=watch, name=f"stop-{order.plan.block_id}", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()


def _collect(session: AgentSession, order: BlockOrder, end: BlockEnd, fence: int,
             services: HostServices) -> BlockManifest:
    """Everything on this disk, then the acknowledgement; what an earlier link already fetched is not lost."""
    spool = host_spool(services)
    block_id = order.plan.block_id
    known = spool.manifest(block_id)
    entries = {entry.sha256: entry for entry in known.entries} if known and known.attempt == order.plan.attempt else {}
    found = [entry for entry in session.list_spool(block_id) if entry.attempt == order.plan.attempt]
    for entry in found:
        _check_entry(entry, order)
        kept = ManifestEntry(cell_id=entry.cell_id or IDLE_CELL, position=entry.position, sha256=entry.sha256,
                             size_bytes=entry.size)
        spool.keep(block_id, kept, session.fetch(entry))
        entries[entry.sha256] = kept
    manifest = BlockManifest(block_id=block_id, device=order.device, number=order.plan.number,
                             attempt=order.plan.attempt, state=end.state, error=end.error, fence=fence,
                             entries=tuple(sorted(entries.values(), key=lambda entry: entry.position)))
    spool.finish(order.campaign_id, manifest)
    session.ack(tuple(entry.sha256 for entry in found), fence)
    return manifest


def _check_entry(entry: SpoolEntry, order: BlockOrder) -> None:
    """The device may only answer with windows that this plan asked for."""
    if entry.cell_id not in {None, *(window.cell_id for window in order.plan.windows)}:
        raise ProtocolMismatch(f"Device {order.device} offered a window of cell {entry.cell_id!r} in block "
                               f"{order.plan.block_id}; the plan did not ask for it. Nothing of this block is used.")
