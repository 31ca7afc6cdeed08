"""The shape of a campaign file: what may stand in it, in the units people write; turned into domain objects here."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from typing import Annotated, Any, Literal, TypeAlias, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from lab.domain.campaign import PROTOCOLS, Constraints, Load, Protocol, Settings

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_NS = 1_000_000_000
_SEED_MAX = 2**31 - 1


def _listed(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


def _is_name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError(f"expected a name of up to 64 letters, digits, '.', '_' or '-' (a letter or digit first), "
                         f"got {value[:80]!r}.")
    return value


def _is_text(value: str) -> str:
    if not value.strip() or len(value) > 64 or not value.isprintable():
        raise ValueError(f"expected 1 to 64 printable characters, got {value[:80]!r}.")
    return value


def _no_repeats(values: list[Any]) -> list[Any]:
    for index, value in enumerate(values):
        if value in values[:index]:
            raise ValueError(f"expected each value once, got {value!r} twice.")
    return values


def _is_device(value: str) -> str:
    return f"pool:{_is_name(value[5:])}" if value.startswith("pool:") else _is_name(value)


_T = TypeVar("_T")
Name: TypeAlias = Annotated[str, AfterValidator(_is_name)]
DeviceRef: TypeAlias = Annotated[str, AfterValidator(_is_device)]
Text: TypeAlias = Annotated[str, AfterValidator(_is_text)]
OneOrMore: TypeAlias = Annotated[list[_T], BeforeValidator(_listed), Field(min_length=1), AfterValidator(_no_repeats)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class LoadFile(_Strict):
    """`back_to_back`, or `paced` at `rate_hz` with a deadline each (one period if not given)."""

    kind: Literal["back_to_back", "paced"]
    rate_hz: Annotated[float, Field(gt=0, le=1_000_000)] | None = None
    deadline_ms: Annotated[float, Field(gt=0, le=3_600_000)] | None = None

    def load(self) -> Load:
        """The domain's load; raises ValueError where rate and kind do not go together."""
        if self.kind == "back_to_back":
            if self.rate_hz is not None or self.deadline_ms is not None:
                raise ValueError("back_to_back takes neither rate_hz nor deadline_ms: expected kind paced with them.")
            return Load()
        if self.rate_hz is None:
            raise ValueError("paced: expected rate_hz (inferences per second), got none.")
        deadline_ms = 1e3 / self.rate_hz if self.deadline_ms is None else self.deadline_ms
        return Load(kind="paced", rate_hz=float(self.rate_hz), deadline_ns=round(deadline_ms * 1e6))


def _load_from(value: Any) -> Any:
    return {"kind": value} if isinstance(value, str) else value


LoadEntry: TypeAlias = Annotated[LoadFile, BeforeValidator(_load_from)]


class SettingsFile(_Strict):
    """Values or lists of values; lists expand to a cross product."""

    runtime: OneOrMore[Literal["onnx_runtime"]] = ["onnx_runtime"]
    threads: OneOrMore[Annotated[int, Field(ge=1, le=1024)]] = [1]
    batch: OneOrMore[Annotated[int, Field(ge=1, le=4096)]] = [1]
    load: OneOrMore[LoadEntry] = [LoadFile(kind="back_to_back")]
    device_state: OneOrMore[dict[Name, Text]] = [{}]

    def settings(self) -> tuple[Settings, ...]:
        """The cross product, the last key varying fastest; raises ValueError for a load that makes no sense."""
        product = itertools.product(self.runtime, self.threads, self.batch, self.load, self.device_state)
        return tuple(
            Settings(runtime=runtime, threads=threads, batch=batch, load=load.load(),
                     device_state=tuple(sorted(state.items())))
            for runtime, threads, batch, load, state in product
        )


class ProtocolFile(_Strict):
    """A preset, and what deviates from it."""

    preset: Literal["quick", "standard", "publish"]
    window_s: Annotated[float, Field(ge=0.01, le=3600)] | None = None
    warmup_s: Annotated[float, Field(ge=0, le=3600)] | None = None
    idle_s: Annotated[float, Field(ge=0, le=3600)] | None = None
    inferences_min: Annotated[int, Field(ge=1, le=1_000_000_000)] | None = None
    sample_rate_hz: Annotated[float, Field(gt=0, le=10_000)] | None = None
    target_ci_ratio: Annotated[float, Field(gt=0, lt=1)] | None = None
    blocks_min: Annotated[int, Field(ge=1, le=1000)] | None = None
    blocks_max: Annotated[int, Field(ge=1, le=1000)] | None = None
    budget_s: Annotated[float, Field(gt=0, le=31_536_000)] | None = None
    order_seed: Annotated[int, Field(ge=0, le=_SEED_MAX)] | None = None

    def protocol(self) -> Protocol:
        """The preset with its deviations; raises ValueError where the numbers of blocks contradict each other."""
        given = self.model_dump(exclude_none=True, exclude={"preset"})
        changes = {f"{key[:-2]}_ns" if key.endswith("_s") else key: round(value * _NS) if key.endswith("_s") else value
                   for key, value in given.items()}
        for key in ("sample_rate_hz", "target_ci_ratio"):
            if key in changes:
                changes[key] = float(changes[key])
        made = replace(PROTOCOLS[self.preset], **changes)
        if made.blocks_min > made.blocks_max:
            raise ValueError(f"expected blocks_min ≤ blocks_max, got {made.blocks_min} and {made.blocks_max} (what is "
                             f"not given comes from the preset {self.preset}). Give both.")
        return made


class ConstraintsFile(_Strict):
    """Limits a technique must keep."""

    accuracy_drop_max: Annotated[float, Field(ge=0, le=1)] | None = None
    latency_p99_max_ms: Annotated[float, Field(gt=0, le=1e9)] | None = None
    memory_max_mb: Annotated[float, Field(gt=0, le=1e9)] | None = None
    power_max_w: Annotated[float, Field(gt=0, le=1e6)] | None = None

    def constraints(self) -> Constraints:
        """The domain's constraints, in SI."""
        return Constraints(
            accuracy_drop_max_ratio=_scaled(self.accuracy_drop_max, 1.0),
            latency_p99_max_ns=_whole(self.latency_p99_max_ms, 1e6),
            memory_max_bytes=_whole(self.memory_max_mb, 1e6), power_max_w=_scaled(self.power_max_w, 1.0),
        )


def _protocol_from(value: Any) -> Any:
    return {"preset": value} if isinstance(value, str) else value


class CampaignFile(_Strict):
    """The whole file."""

    name: Name
    workload: str
    devices: OneOrMore[DeviceRef]
    techniques: dict[Name, list[Any]]
    protocol: Annotated[ProtocolFile, BeforeValidator(_protocol_from)]
    settings: Annotated[list[SettingsFile], BeforeValidator(_listed), Field(min_length=1)] = [SettingsFile()]
    seeds: OneOrMore[Annotated[int, Field(ge=0, le=_SEED_MAX)]] = [0]
    constraints: ConstraintsFile = ConstraintsFile()
    owner: Text | None = None


MODELS: dict[str, type[BaseModel]] = {
    "": CampaignFile, "protocol": ProtocolFile, "settings": SettingsFile, "load": LoadFile,
    "constraints": ConstraintsFile,
}
"""The model behind each key, for telling which keys are known there."""


def _scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def _whole(value: float | None, factor: float) -> int | None:
    return None if value is None else round(value * factor)
