"""Windows from this host's disk into the database; a block that cannot be taken is put aside, never in the way."""

from __future__ import annotations

from agents.wire import IDLE_CELL
from agents.wire.recording import RecordingError, unpack_recording
from lab.domain.block import BlockManifest, ManifestEntry
from lab.errors import ProtocolMismatch, StoreError

from .base import ProgressEvent, Services
from .block import host_spool


def ingest(campaign_id: str, manifest: BlockManifest, services: Services) -> int:
    """Windows of a block into the database; idempotent. A window that is no recording becomes a failure entry.

    Returns how many were new. Raises StoreError, with the block left where it is.
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
    spool.fulfil(manifest)  # first: what is neither promised nor here needs no looking for
    spool.drop(manifest)
    return new


def ingest_leftovers(services: Services) -> int:
    """Blocks that an earlier process fetched but did not ingest; returns how many windows were new.

    One that the database refuses is moved to `spool/rejected` and reported, so that it stops no other campaign.
    Raises StoreError with `transient` set, and leaves the rest where it is, while the disk is full.
    """
    new = 0
    for campaign_id, manifest in list(host_spool(services).waiting()):
        try:
            new += ingest(campaign_id, manifest, services)
        except StoreError as error:
            if error.transient:
                raise
            host_spool(services).fulfil(manifest)
            place = host_spool(services).reject(manifest)
            services.listener(ProgressEvent(
                stage="analyse", subject=manifest.device,
                text=f"block {manifest.block_id} of an earlier campaign cannot be used ({error}); kept in {place}"))
    return new


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
