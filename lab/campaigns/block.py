"""One block on one device: hand the plan over, let the agent work alone, fetch what it recorded.

A link that ends in the middle costs nothing: the agent goes on, and the next connection collects. `run_block` ends
with every window on this host's disk; `ingest` moves them into the database.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from agents.wire import IDLE_CELL
from agents.wire.recording import RecordingError, unpack_recording
from lab.devices.session import AgentSession, SpoolEntry
from lab.domain.block import BlockManifest, ManifestEntry
from lab.domain.device import Device, DeviceProfile
from lab.errors import ConnectionLost, LabError, ProtocolMismatch, TransportTimeout, WorkerDied

from .base import BlockOrder, ProgressEvent, Services
from .host_spool import HostSpool

_WAIT_S = 10.0
_LEASE_SPARE_S = 120.0


def host_spool(services: Services) -> HostSpool:
    """This host's folder of windows that are not in the database yet."""
    return HostSpool(services.home / "spool")


def run_block(order: BlockOrder, services: Services) -> BlockManifest:
    """Measure one block, or collect it if the device has already done it; raises DeviceError.

    A lost link is followed by a new connection, at most `reconnects_max` times.
    """
    device = services.store.device(order.device)
    profile, _ = services.profile(device.profile)
    lost: LabError | None = None
    for attempt in range(services.reconnects_max + 1):
        try:
            return _run_over_one_link(order, device, profile, services)
        except (ConnectionLost, TransportTimeout) as error:
            lost = error
            services.listener(ProgressEvent(stage="connect", subject=device.name,
                                    text=f"link lost ({error}); connecting again, attempt {attempt + 1}"))
    raise ConnectionLost(
        f"Device {device.name} lost its link {services.reconnects_max + 1} times during block {order.plan.block_id}. "
        f"What it measured stays on the device and is collected by the next `lab run`. Last: {lost}"
    )


def _run_over_one_link(order: BlockOrder, device: Device, profile: DeviceProfile,
                       services: Services) -> BlockManifest:
    with open_session(device, profile, services) as session:
        plan = order.plan
        fence = session.acquire_lease(services.owner, plan.duration_max_ns() / 1e9 + _LEASE_SPARE_S)
        if session.wait_block(plan.block_id, 0.0).state == "unknown":
            _send_artifacts(session, order, fence, services)
            session.start_block(plan, fence)
        state = _wait_for_end(session, order, services)
        manifest = _collect(session, order, state, fence, services)
        session.release_lease(fence)
    return manifest


@contextmanager
def open_session(device: Device, profile: DeviceProfile, services: Services) -> Iterator[AgentSession]:
    """A conversation with the device's agent; errors carry the device's name as a note."""
    services.listener(ProgressEvent(stage="connect", subject=device.name, text="connecting"))
    try:
        with AgentSession.open(services.transport(device, profile), services.bundle()) as session:
            yield session
    except LabError as error:
        error.add_note(f"device: {device.name} ({device.url})")
        raise


def _send_artifacts(session: AgentSession, order: BlockOrder, fence: int, services: Services) -> None:
    wanted = {window.artifact_sha256 for window in order.plan.windows}
    wanted |= {window.inputs_sha256 for window in order.plan.windows if window.inputs_sha256}
    for number, sha256 in enumerate(sorted(wanted)):
        def show(sent: int, total: int, number: int = number) -> None:
            services.listener(ProgressEvent(stage="upload", subject=order.device, text=f"{sent}/{total} bytes",
                                    fraction=(number + sent / max(total, 1)) / len(wanted)))

        session.put(services.store.artifacts.path(sha256), sha256, fence, show)


def _wait_for_end(session: AgentSession, order: BlockOrder, services: Services) -> str:
    remaining_s = order.plan.duration_max_ns() / 1e9 + _LEASE_SPARE_S
    while remaining_s > 0:
        status = session.wait_block(order.plan.block_id, min(_WAIT_S, remaining_s))
        if status.state != "running":
            if status.error:
                services.store.record_failure(order.campaign_id, None, order.device, "measure", "block",
                                              f"Block {order.plan.number}: {status.error}")
            return status.state
        services.listener(ProgressEvent(stage="measure", subject=order.device,
                                text=f"block {order.plan.number}, window {status.position}",
                                fraction=status.windows_done / (len(order.plan.windows) + 2)))
        remaining_s -= _WAIT_S
    raise WorkerDied(f"Block {order.plan.block_id} on {order.device} did not end within its own deadline of "
                     f"{order.plan.duration_max_ns() / 1e9:.0f} s. Check the device with "
                     f"`lab devices check {order.device}`.")


def _collect(session: AgentSession, order: BlockOrder, state: str, fence: int,
             services: Services) -> BlockManifest:
    spool = host_spool(services)
    found = session.list_spool(order.plan.block_id)
    entries = []
    for entry in found:
        _check_entry(entry, order)
        kept = ManifestEntry(cell_id=entry.cell_id or IDLE_CELL, position=entry.position, sha256=entry.sha256,
                             size_bytes=entry.size)
        spool.keep(order.plan.block_id, kept, session.fetch(entry))
        entries.append(kept)
    manifest = BlockManifest(block_id=order.plan.block_id, device=order.device, number=order.plan.number,
                             attempt=order.plan.attempt, state=state,
                             entries=tuple(sorted(entries, key=lambda entry: entry.position)))
    spool.finish(order.campaign_id, manifest)
    session.ack(tuple(entry.sha256 for entry in found), fence)
    return manifest


def _check_entry(entry: SpoolEntry, order: BlockOrder) -> None:
    """The device may only answer with windows that this plan asked for."""
    if entry.cell_id not in {None, *(window.cell_id for window in order.plan.windows)}:
        raise ProtocolMismatch(f"Device {order.device} offered a window of cell {entry.cell_id!r} in block "
                               f"{order.plan.block_id}; the plan did not ask for it. Nothing of this block is used.")


def ingest(campaign_id: str, manifest: BlockManifest, services: Services) -> int:
    """Windows of a block into the database; idempotent. A window that is no recording becomes a failure entry.

    Returns how many were new.
    """
    spool = host_spool(services)
    new = 0
    for entry in manifest.entries:
        try:
            data = spool.read(manifest.block_id, entry)
            _check_belongs(data, manifest, entry)
            new += services.store.ingest_window(data, campaign_id=campaign_id, device=manifest.device,
                                                block_number=manifest.number)
        except ProtocolMismatch as error:
            cell_id = None if entry.cell_id == IDLE_CELL else entry.cell_id
            services.store.record_failure(campaign_id, cell_id, manifest.device, "analyse", "recording", str(error))
    spool.drop(manifest)
    return new


def ingest_leftovers(services: Services) -> int:
    """Blocks that an earlier process fetched but did not ingest; returns how many windows were new."""
    return sum(ingest(campaign_id, manifest, services)
               for campaign_id, manifest in list(host_spool(services).waiting()))


def _check_belongs(data: bytes, manifest: BlockManifest, entry: ManifestEntry) -> None:
    try:
        header, _ = unpack_recording(data)
    except RecordingError as error:
        raise ProtocolMismatch(f"Window {entry.position} of block {manifest.block_id} from {manifest.device} is not "
                               f"a recording: {error}.") from error
    told = (header.get("block_id"), header.get("cell_id") or IDLE_CELL, header.get("position"))
    if told != (manifest.block_id, entry.cell_id, entry.position):
        raise ProtocolMismatch(f"Window {entry.position} of block {manifest.block_id} from {manifest.device} says it "
                               f"is {told!r}; it is not used.")

