"""Operations on blocks."""

from __future__ import annotations

import time
from typing import Optional

from agents.errors import Refused
from agents.runtimes import RUNTIMES
from agents.wire.plan import BlockPlan, PlanError, plan_from_json

from .base import BLOCK_ID, Answer, Header, Later, Services, number, text

WAIT_MAX_S = 24 * 3600
CANCEL_GRACE_S = 10.0
"""How long a cancelled block may take to put the device state back before it is killed."""

_KILL_GRACE_S = 5.0


def start(services: Services, request: Header) -> Answer:
    """`block.start{plan, fence}` → `{}`, or ERR bad_plan, missing_artifact, busy; the lease then covers the block."""
    fence = services.check_fence(request)
    try:
        plan = plan_from_json(request.get("plan"))
    except PlanError as error:
        raise Refused("bad_plan", str(error)) from None
    _check(services, plan)
    services.blocks.start(plan, fence)
    services.lease.cover(fence, plan.duration_max_ns())
    return {}


def status(services: Services, request: Header) -> Answer:
    """`block.status{block_id}` → the block's status now."""
    return services.blocks.status(text(request, "block_id", BLOCK_ID))


def wait(services: Services, request: Header) -> Answer:
    """`block.wait{block_id, timeout_s}` → the block's status when it has ended, or after that time."""
    block_id = text(request, "block_id", BLOCK_ID)
    return _until_ended(services, block_id, number(request, "timeout_s", WAIT_MAX_S))


def cancel(services: Services, request: Header) -> Answer:
    """`block.cancel{block_id, fence}` → the block's status when it has ended."""
    services.check_fence(request)
    block_id = text(request, "block_id", BLOCK_ID)
    services.blocks.cancel(block_id)

    def kill() -> Answer:
        services.blocks.kill(block_id)
        return _until_ended(services, block_id, _KILL_GRACE_S)

    return _until_ended(services, block_id, CANCEL_GRACE_S)._replace(at_deadline=kill)


def _until_ended(services: Services, block_id: str, timeout_s: float) -> Later:
    def poll() -> Optional[Header]:
        found = services.blocks.status(block_id)
        return None if found["state"] == "running" else found

    if services.blocks.status(block_id)["state"] == "running":
        services.blocks.watch(block_id)
    return Later(poll, time.monotonic_ns() + int(timeout_s * 1e9), lambda: services.blocks.status(block_id))


def _check(services: Services, plan: BlockPlan) -> None:
    for index, window in enumerate(plan.windows):
        if window.runtime not in RUNTIMES:
            raise Refused("bad_plan", f"plan.windows[{index}].runtime: {window.runtime!r} is not known; this agent "
                                      f"has {', '.join(sorted(RUNTIMES))}")
        for sha256 in (window.artifact_sha256, window.inputs_sha256):
            if sha256 is not None and not services.blobs.has(sha256):
                raise Refused("missing_artifact", f"plan.windows[{index}] needs {sha256}, which is not on this "
                                                  "device; put it first", sha256=sha256)
