"""What the queue carries: calls of durable functions by name, with plain JSON arguments and ids that never repeat."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeAlias

Queue: TypeAlias = Literal["campaigns", "control", "compress", "device"]
Json: TypeAlias = Any

CONTROLLER = "controller"
"""Agent host of devices that the controller's own machine reaches."""

PRIORITY_MAX = 1_000


@dataclass(frozen=True, kw_only=True)
class Call:
    """One durable call. Asked for twice under one id it happens once.

    Calls on queue `device` name the device, of which one at a time is carried out, and the agent host whose worker
    does it. Of several waiting calls the one with the lowest `priority` number goes first, then the oldest.
    """

    name: str
    id: str
    queue: Queue
    args: list[Json] = field(default_factory=list)
    device: str | None = None
    agent_host: str = CONTROLLER
    priority: int = 10
    delay_s: float = 0.0

    @property
    def queue_name(self) -> str:
        """The engine's queue: one per agent host, since exactly one process may poll it."""
        return device_queue(self.agent_host) if self.queue == "device" else self.queue


def device_queue(agent_host: str) -> str:
    """Name of the queue that the worker at this agent host listens to."""
    return f"dev.{agent_host}"


def call_to_json(call: Call) -> dict[str, Json]:
    """Plain JSON of a call."""
    return asdict(call)


def call_from_json(data: dict[str, Json]) -> Call:
    """The call whose JSON this is."""
    return Call(**data)


def plan_call(campaign_id: str, epoch: int) -> Call:
    """The first call of a campaign, and of every time it is resumed: `epoch` tells those apart."""
    return Call(name="plan", id=f"{campaign_id}:{epoch}:plan", queue="campaigns", args=[campaign_id, epoch])


def advance_call(campaign_id: str, epoch: int, device: str, reason: str) -> Call:
    """Look again what this device can do for the campaign; `reason` is a part of the id."""
    return Call(name="advance", id=f"{campaign_id}:{epoch}:advance:{device}:{reason}", queue="control",
                args=[campaign_id, epoch, device])


def digest(*parts: Json) -> str:
    """Short hash of JSON values, for ids."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:20]
