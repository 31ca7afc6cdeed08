"""The block plan: all an agent needs to measure one block on its own, link or no link.

The controller writes it, the agent executes it; both use these classes, so there is one definition. Position 0
is the idle before the first window; the window at index i has position i + 1; the last idle comes after them.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, fields
from typing import Any, Dict, Optional, Tuple

_ID = re.compile(r"[0-9a-zA-Z][0-9a-zA-Z_.-]{0,127}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
MAX_WINDOWS = 64
MAX_WINDOW_NS = 3600 * 1_000_000_000


class PlanError(ValueError):
    """A block plan that an agent must refuse."""


@dataclass(frozen=True)
class LoadPlan:
    """How inferences arrive; `rate_hz` and `deadline_ns` only with kind `paced`."""

    kind: str = "back_to_back"
    rate_hz: Optional[float] = None
    deadline_ns: Optional[int] = None


@dataclass(frozen=True)
class WindowPlan:
    """One window: which file, on what input, how long."""

    cell_id: str
    artifact_sha256: str
    inputs_sha256: Optional[str]
    runtime: str
    threads: int
    batch: int
    warmup_ns: int
    length_ns: int
    inferences_min: int
    load: LoadPlan = LoadPlan()


@dataclass(frozen=True)
class BlockPlan:
    """One block: idle, windows in this order, idle. `deadline_ns` bounds one window, not the block."""

    block_id: str
    number: int
    attempt: int
    windows: Tuple[WindowPlan, ...]
    idle_ns: int
    probes: Tuple[str, ...]
    sample_rate_hz: float
    window_deadline_ns: int
    state: Tuple[Tuple[str, str], ...] = ()

    def duration_max_ns(self) -> int:
        """Longest the block may take: what a lease must cover."""
        return 2 * (self.idle_ns + self.window_deadline_ns) + len(self.windows) * self.window_deadline_ns


def plan_to_json(plan: BlockPlan) -> Dict[str, Any]:
    """Plain JSON of a plan."""
    return asdict(plan)


def plan_from_json(data: Any) -> BlockPlan:
    """A checked plan; raises PlanError naming the field."""
    values = _checked(BlockPlan, data, "plan")
    windows = values["windows"]
    if not isinstance(windows, (list, tuple)) or not 1 <= len(windows) <= MAX_WINDOWS:
        raise PlanError(f"plan.windows: expected 1 to {MAX_WINDOWS} windows")
    values["windows"] = tuple(_window_from_json(item, f"plan.windows[{i}]") for i, item in enumerate(windows))
    values["probes"] = tuple(_text(name, "plan.probes") for name in _list(values["probes"], "plan.probes"))
    values["state"] = tuple(_setting(item) for item in _list(values.get("state", ()), "plan.state"))
    _match(_ID, values["block_id"], "plan.block_id")
    for key in ("number", "attempt", "idle_ns", "window_deadline_ns"):
        _whole(values[key], f"plan.{key}")
    _positive(values["sample_rate_hz"], "plan.sample_rate_hz", 10_000)
    return BlockPlan(**values)


def _window_from_json(data: Any, where: str) -> WindowPlan:
    values = _checked(WindowPlan, data, where)
    _match(_ID, values["cell_id"], f"{where}.cell_id")
    _match(_SHA256, values["artifact_sha256"], f"{where}.artifact_sha256")
    if values["inputs_sha256"] is not None:
        _match(_SHA256, values["inputs_sha256"], f"{where}.inputs_sha256")
    _match(_ID, values["runtime"], f"{where}.runtime")
    for key in ("threads", "batch", "warmup_ns", "length_ns", "inferences_min"):
        _whole(values[key], f"{where}.{key}")
    for key in ("threads", "batch"):
        if values[key] < 1:
            raise PlanError(f"{where}.{key}: expected at least 1, got {values[key]}")
    if values["length_ns"] > MAX_WINDOW_NS:
        raise PlanError(f"{where}.length_ns: at most {MAX_WINDOW_NS}")
    load = LoadPlan(**_checked(LoadPlan, values.get("load", {}), f"{where}.load"))
    if load.kind == "paced":
        _positive(load.rate_hz, f"{where}.load.rate_hz", 1_000_000)
        if load.deadline_ns is not None:
            _whole(load.deadline_ns, f"{where}.load.deadline_ns")
    elif load.kind != "back_to_back":
        raise PlanError(f"{where}.load.kind: expected back_to_back or paced, got {load.kind!r}")
    elif load.rate_hz is not None or load.deadline_ns is not None:
        raise PlanError(f"{where}.load: rate_hz and deadline_ns belong to kind paced only")
    values["load"] = load
    return WindowPlan(**values)


def _checked(cls: Any, data: Any, where: str) -> Dict[str, Any]:
    if not isinstance(data, dict):
        raise PlanError(f"{where}: expected an object")
    known = {field.name for field in fields(cls)}
    unknown = sorted(set(data) - known)
    if unknown:
        raise PlanError(f"{where}.{unknown[0]}: unknown field")
    optional = {"load", "state", "kind", "rate_hz", "deadline_ns"}
    missing = sorted(known - set(data) - optional)
    if missing:
        raise PlanError(f"{where}.{missing[0]}: missing")
    return dict(data)


def _match(pattern: Any, value: Any, where: str) -> None:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise PlanError(f"{where}: {value!r} is not allowed here")


def _list(value: Any, where: str) -> Any:
    if not isinstance(value, (list, tuple)):
        raise PlanError(f"{where}: expected a list, got {value!r}")
    return value


def _setting(item: Any) -> Tuple[str, str]:
    if not isinstance(item, (list, tuple)) or len(item) != 2 or not isinstance(item[1], str):
        raise PlanError(f"plan.state: expected pairs of control and value as text, got {item!r}")
    return _text(item[0], "plan.state"), item[1][:256]


def _text(value: Any, where: str) -> str:
    _match(_ID, value, where)
    return str(value)


def _whole(value: Any, where: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise PlanError(f"{where}: expected a whole number, got {value!r}")


def _positive(value: Any, where: str, limit: float) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= limit:
        raise PlanError(f"{where}: expected a number above 0 and up to {limit}, got {value!r}")
