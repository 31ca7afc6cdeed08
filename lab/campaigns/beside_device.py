"""What the worker beside a device does: greet it, measure a block there, hand the recordings over.

It has no database. Orders come as JSON with everything in them; what comes back is JSON too, errors included, so that
the controller decides what follows.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict

from lab.domain.block import BlockManifest, BlockOrder
from lab.domain.device import Device, DeviceProfile
from lab.errors import LabError
from lab.store.codec import from_text, to_text

from .base import HostServices
from .block import host_spool, open_session, run_block
from .calls import Json
from .order_json import order_from_json
from .recovery import error_outcome


def contact(target: str, profile: str, services: HostServices) -> Json:
    """Connect once and learn what is there: `{"facts": …}` or `{"error": …}`."""
    device: Device = from_text(Device, target)
    known: DeviceProfile = from_text(DeviceProfile, profile)
    try:
        with hold_device(device.name, services), open_session(device, known, services) as session:
            return {"facts": to_text(session.facts())}
    except LabError as error:
        return {"error": error_outcome(error)}


def measure_block(order_json: Json, services: HostServices) -> Json:
    """One block: `{"manifest": …, "elapsed_ns": …}` or `{"error": …}`; measured once, however often it is asked for.

    Blocks that an earlier process started on this device and never fetched are fetched first; they lie in the spool,
    with their manifests, for whoever hands the spool over.
    """
    order = order_from_json(order_json)
    begun_ns = time.monotonic_ns()
    try:
        with hold_device(order.device, services):
            manifest = _kept(order, services)
            if manifest is None:
                _collect_promised(order, services)
                begun_ns = time.monotonic_ns()
                manifest = run_block(order, services)
            share(manifest, services)
    except LabError as error:
        return {"error": error_outcome(error), "elapsed_ns": time.monotonic_ns() - begun_ns}
    return {"manifest": asdict(manifest), "shared": services.shared is not None,
            "owner": services.owner,
            "elapsed_ns": time.monotonic_ns() - begun_ns}


def share(manifest: BlockManifest, services: HostServices) -> None:
    """Put a block's recordings where the controller finds them; nothing to do where it reads this spool itself."""
    if services.shared is None:
        return
    spool = host_spool(services)
    for entry in manifest.entries:
        services.shared.push("recordings", entry.sha256, spool.window_file(manifest.block_id, entry.sha256))


def left_behind(services: HostServices, is_taken: Callable[[str, BlockManifest], bool], but: str) -> list[Json]:
    """Arguments of `collected` for every fetched block in this spool that no other call hands over, except block `but`.

    What the controller has taken from the shared files (`is_taken`) is forgotten here; where the controller reads this
    spool itself, it does the forgetting.
    """
    spool = host_spool(services)
    found: list[Json] = []
    for campaign_id, manifest in list(spool.waiting()):
        if manifest.block_id == but:
            continue
        if services.shared is not None and is_taken(campaign_id, manifest):
            spool.fulfil(manifest)
            spool.drop(manifest)
            continue
        share(manifest, services)
        found.append([campaign_id, asdict(manifest), services.shared is not None, services.owner])
    return found


@contextmanager
def hold_device(name: str, services: HostServices) -> Iterator[None]:
    """No two threads or processes of this LAB_HOME talk to one device.

    The queue gives a device to one call at a time, but it frees the place of a cancelled call before that call's code
    has stopped; here the next one waits for it.
    """
    folder = services.home / "locks"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(folder / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _kept(order: BlockOrder, services: HostServices) -> BlockManifest | None:
    """The block from this host's spool if an earlier process fetched it and died before it could say so."""
    manifest = host_spool(services).manifest(order.plan.block_id)
    return manifest if manifest and manifest.attempt == order.plan.attempt else None


def _collect_promised(order: BlockOrder, services: HostServices) -> None:
    spool = host_spool(services)
    for earlier in spool.promised(order.device):
        is_here = spool.manifest(earlier.plan.block_id) is not None
        if earlier != order and not is_here and earlier in spool.promised(order.device):  # not taken just now
            share(run_block(earlier, services, may_start=False), services)
