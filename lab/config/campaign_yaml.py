"""A campaign back into the text of a file that loads as the same campaign."""

from __future__ import annotations

from typing import Any

import yaml

from lab.domain.campaign import Campaign, Constraints, Load, Protocol, Settings, StepSpec


def campaign_to_yaml(campaign: Campaign) -> str:
    """YAML with every default written out; `campaign_from_text` makes an equal campaign of it."""
    data: dict[str, Any] = {
        "name": campaign.name, "owner": campaign.owner, "workload": campaign.workload,
        "devices": list(campaign.devices),
        "techniques": {technique.name: [_step(step) for step in technique.steps]
                       for technique in campaign.techniques if not technique.is_baseline},
        "protocol": _protocol(campaign.protocol),
        "settings": [_settings(settings) for settings in campaign.settings],
        "seeds": list(campaign.seeds),
        "constraints": _constraints(campaign.constraints),
    }
    return yaml.safe_dump({key: value for key, value in data.items() if value != {} or key == "techniques"},
                          sort_keys=False, allow_unicode=True, default_flow_style=None, width=100)


def _step(step: StepSpec) -> Any:
    if not step.params:
        return step.name
    return {step.name: {key: list(value) if isinstance(value, tuple) else value for key, value in step.params}}


def _protocol(protocol: Protocol) -> dict[str, Any]:
    made: dict[str, Any] = {
        "preset": protocol.preset, "window_s": protocol.window_ns / 1e9, "warmup_s": protocol.warmup_ns / 1e9,
        "idle_s": protocol.idle_ns / 1e9, "inferences_min": protocol.inferences_min,
        "sample_rate_hz": protocol.sample_rate_hz, "target_ci_ratio": protocol.target_ci_ratio,
        "blocks_min": protocol.blocks_min, "blocks_max": protocol.blocks_max, "order_seed": protocol.order_seed,
    }
    if protocol.budget_ns is not None:
        made["budget_s"] = protocol.budget_ns / 1e9
    return made


def _settings(settings: Settings) -> dict[str, Any]:
    made: dict[str, Any] = {"runtime": settings.runtime, "threads": settings.threads, "batch": settings.batch,
                            "load": _load(settings.load)}
    if settings.device_state:
        made["device_state"] = dict(settings.device_state)
    return made


def _load(load: Load) -> Any:
    if load.kind == "back_to_back":
        return load.kind
    made: dict[str, Any] = {"kind": load.kind, "rate_hz": load.rate_hz}
    if load.deadline_ns is not None:
        made["deadline_ms"] = load.deadline_ns / 1e6
    return made


def _constraints(constraints: Constraints) -> dict[str, Any]:
    made = {
        "accuracy_drop_max": constraints.accuracy_drop_max_ratio,
        "latency_p99_max_ms": None if constraints.latency_p99_max_ns is None else constraints.latency_p99_max_ns / 1e6,
        "memory_max_mb": None if constraints.memory_max_bytes is None else constraints.memory_max_bytes / 1e6,
        "power_max_w": constraints.power_max_w,
    }
    return {key: value for key, value in made.items() if value is not None}
