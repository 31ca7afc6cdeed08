"""Orders and manifests as plain JSON, for the spool and for the queue."""

from __future__ import annotations

from typing import Any

from agents.wire.plan import plan_from_json, plan_to_json
from lab.domain.block import BlockManifest, BlockOrder, ManifestEntry
from lab.domain.device import Device, DeviceProfile
from lab.store.codec import from_text, to_text


def order_to_json(order: BlockOrder) -> dict[str, Any]:
    """Plain JSON of an order, for the spool and for the engine."""
    return {"campaign_id": order.campaign_id, "target": to_text(order.target), "profile": to_text(order.profile),
            "plan": plan_to_json(order.plan)}


def order_from_json(data: dict[str, Any]) -> BlockOrder:
    """The order that `order_to_json` wrote; raises StoreError or PlanError where it is something else."""
    return BlockOrder(campaign_id=str(data["campaign_id"]), target=from_text(Device, data["target"]),
                      profile=from_text(DeviceProfile, data["profile"]), plan=plan_from_json(data["plan"]))


def manifest_from_json(data: dict[str, Any]) -> BlockManifest:
    """The manifest whose `asdict` this is."""
    entries = tuple(ManifestEntry(**entry) for entry in data["entries"])
    return BlockManifest(**{**data, "entries": entries})
