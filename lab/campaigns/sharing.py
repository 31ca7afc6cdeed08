"""Files that must cross between machines, and what is said and done where one side was not told where they lie.

None of it counts against a device. Whoever sets the variable and starts that process again need do nothing else.
"""

from __future__ import annotations

from dataclasses import replace

from lab.domain.block import BlockManifest
from lab.errors import SharedFilesMissing
from lab.store.shared import URL_VARIABLE

from .base import Services
from .block import host_spool
from .calls import Json
from .recovery import Outcome


def not_handed_over(manifest: BlockManifest, outcome: Json, services: Services) -> SharedFilesMissing | None:
    """Why a block's recordings cannot come here; None if they can, or are here already.

    A worker of this LAB_HOME has left them in the spool, or an earlier call has stored them.
    """
    holder, is_shared = str(outcome.get("owner") or services.owner), bool(outcome.get("shared"))
    is_ours = holder.rpartition(":")[2] == services.home_id
    if is_ours or not manifest.entries or host_spool(services).manifest(manifest.block_id) is not None:
        return None
    if is_shared and services.shared is not None:
        return None
    where = "at the controller" if is_shared else f"at the worker of {manifest.device} ({holder})"
    return SharedFilesMissing(
        f"The recordings of block {manifest.block_id} are at the worker of {manifest.device} ({holder}) and cannot "
        f"come to the controller: {URL_VARIABLE} is not set {where}. Nothing is lost. Set it there to the same address "
        "as at the other side and start that process again; the campaign then goes on by itself.")


def put_artifacts_again(order: Json, failed: Outcome, services: Services) -> Outcome:
    """A worker lacks an artifact of this order: put what is here where it looks, and say what else is to be done.

    One that is nowhere any more will not come by waiting; its failure ends the cells.
    """
    if failed.kind != SharedFilesMissing.__name__:
        return failed
    if services.shared is None:
        return replace(failed, text=f"{failed.text} At the controller {URL_VARIABLE} is not set, so nothing is put "
                                    "anywhere: set it there too, and start the controller again.")
    artifacts = services.store.artifacts
    needed = {window[key] for window in order["plan"]["windows"] for key in ("artifact_sha256", "inputs_sha256")}
    for sha256 in sorted(needed - {None}):
        if artifacts.has(sha256):
            services.shared.push("artifacts", sha256, artifacts.path(sha256))
        elif not services.shared.has("artifacts", sha256):
            text = (f"Artifact {sha256[:12]} is neither at the controller nor in the shared files any more. "
                    "`lab campaigns retry` makes it again.")
            return replace(failed, transient=False, text=text)
    return failed


def artifact_out_of_reach(sha256: str, services: Services) -> SharedFilesMissing | None:
    """Why an artifact that was just made cannot be sent to devices; None if it can."""
    shared, artifacts = services.shared, services.store.artifacts
    if artifacts.has(sha256):
        if shared is not None:  # a compress worker of this LAB_HOME need not know where other machines look
            shared.push("artifacts", sha256, artifacts.path(sha256))
        return None
    if shared is not None and shared.has("artifacts", sha256):
        return None
    where = "the controller" if shared is None else "the compress worker"
    return SharedFilesMissing(
        f"Artifact {sha256[:12]} was made by a compress worker on another machine and cannot be fetched: "
        f"{URL_VARIABLE} is not set at {where}, or not to the same address as elsewhere. Set it there and start that "
        "process again; the campaign then goes on by itself.")
