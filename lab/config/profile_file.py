"""The shape of a profile file: what may stand in it; turned into the domain's profile here."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from lab.domain.device import DeviceProfile, Origin, Rail, RuntimeLimits, Scope, SettlePolicy

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_WORD = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}", re.IGNORECASE)
_DEFAULTS = DeviceProfile(name="", title="", transport="local")


def is_profile_name(text: str) -> bool:
    """True for small letters, digits and `-`, up to 64: such a name can never leave its folder."""
    return bool(_NAME.fullmatch(text))


def _name(value: str) -> str:
    if not is_profile_name(value):
        raise ValueError(f"expected up to 64 small letters, digits and '-', got {value[:80]!r}.")
    return value


def _word(value: str) -> str:
    if not _WORD.fullmatch(value):
        raise ValueError(f"expected one word, got {value[:80]!r}.")
    return value


def _line(value: str) -> str:
    if not value.strip() or len(value) > 1000 or not value.isprintable():
        raise ValueError(f"expected 1 to 1000 printable characters, got {value[:80]!r}.")
    return value.strip()


def _no_is_a_word(value: Any) -> Any:
    return "no" if value is False else value


Line = Annotated[str, AfterValidator(_line)]
Words = list[Annotated[str, AfterValidator(_word)]]
Limit = Annotated[float, Field(ge=0, le=1e6)] | None
Count = Annotated[int, Field(ge=1, le=100_000)] | None


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class RailFile(_Strict):
    """One rail by name or pattern."""

    name: Line
    scope: Literal["rail", "module", "board_dc", "battery", "wall", "package"]
    source: Annotated[str, AfterValidator(_word)]
    headline: bool = False
    resolution_w: Limit = None
    gain_limit_ratio: Annotated[float, Field(ge=0, le=1)] | None = None
    offset_limit_w: Limit = None

    def rail(self) -> Rail:
        """The domain's rail."""
        return Rail(**{**self.model_dump(), "scope": Scope(self.scope)})


class LimitsFile(_Strict):
    """What the device's runtime can load."""

    opset_max: Count = None
    ir_max: Count = None
    python_min: Annotated[str, Field(pattern=r"^3\.[0-9]{1,2}$")] = _DEFAULTS.limits.python_min
    threads_max: Count = None


class SettleFile(_Strict):
    """When the device counts as ready."""

    temperature_max_c: Annotated[float, Field(ge=-40, le=150)] | None = None
    timeout_s: Annotated[float, Field(ge=0, le=3600)] = _DEFAULTS.settle.timeout_ns / 1e9

    def policy(self) -> SettlePolicy:
        """The domain's policy."""
        return SettlePolicy(temperature_max_c=self.temperature_max_c, timeout_ns=round(self.timeout_s * 1e9))


class ProfileFile(_Strict):
    """The whole file."""

    name: Annotated[str, AfterValidator(_name)]
    title: Line
    transport: Literal["local", "ssh", "serial", "virtual"]
    origin: Literal["measured", "estimated", "simulated"] = "measured"
    verified: Annotated[Literal["no", "virtual", "board"], BeforeValidator(_no_is_a_word)] = "no"
    rails: list[RailFile] = []
    probes: Words = list(_DEFAULTS.probes)
    limits: LimitsFile = LimitsFile()
    settle: SettleFile = SettleFile()
    controls: Words = []
    bootstrap: Words = list(_DEFAULTS.bootstrap)
    recommended_meter: Line | None = None
    physics: dict[str, float] = {}
    sources: Annotated[list[Line], Field(min_length=1)]

    def profile(self) -> DeviceProfile:
        """The domain's profile; raises ValueError naming the key where keys contradict each other."""
        return DeviceProfile(
            name=self.name, title=self.title, transport=self.transport, origin=Origin(self.origin),
            verified=self.verified, rails=tuple(rail.rail() for rail in self.rails), probes=tuple(self.probes),
            limits=RuntimeLimits(**self.limits.model_dump()), settle=self.settle.policy(),
            controls=tuple(self.controls), bootstrap=tuple(self.bootstrap),
            recommended_meter=self.recommended_meter, sources=tuple(self.sources),
            physics=tuple(sorted((key, float(value)) for key, value in self.physics.items())),
        )


MODELS: dict[str, type[BaseModel]] = {
    "": ProfileFile, "rails": RailFile, "limits": LimitsFile, "settle": SettleFile,
}
"""The model behind each key, for telling which keys are known there."""
