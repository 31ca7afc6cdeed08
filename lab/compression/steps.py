"""From the steps a campaign names to step objects: which exist, what they take, and in which order they may come."""

from __future__ import annotations

import dataclasses
import difflib
import importlib
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Any, Literal, TypeAlias

from compressors import STEPS
from compressors.base import OnnxStep, TorchStep
from lab.domain.campaign import StepSpec, Technique
from lab.errors import ConfigError

Step: TypeAlias = TorchStep | OnnxStep
StepClass: TypeAlias = type[TorchStep] | type[OnnxStep]

_WORDS: Mapping[object, str] = {int: "a whole number", float: "a number", bool: "true or false", str: "text",
                                NoneType: "null", tuple: "a list of texts"}


@dataclass(frozen=True, kw_only=True)
class ParameterDescription:
    """One parameter of a step: what it takes and what it is when not given."""

    name: str
    expected: str
    default: object


@dataclass(frozen=True, kw_only=True)
class StepDescription:
    """A step as `lab techniques list` shows it."""

    name: str
    kind: str
    summary: str
    parameters: tuple[ParameterDescription, ...]

    @property
    def parameters_text(self) -> str:
        """Every parameter with its default, on one line."""
        return ", ".join(f"{parameter.name} = {_shown(parameter.default)}" for parameter in self.parameters)


def step_class(name: str, steps: Mapping[str, str] = STEPS) -> StepClass:
    """The class behind a step's name, without loading torch or onnx; raises ConfigError listing the known ones."""
    if name not in steps:
        raise ConfigError(f"unknown step {name!r}; known steps: {', '.join(sorted(steps))}{_closest(name, steps)}")
    module, attribute = steps[name].split(":")
    found: StepClass = getattr(importlib.import_module(module), attribute)
    return found


def validate_step(spec: StepSpec, steps: Mapping[str, str] = STEPS) -> Step:
    """The step with these parameters and its own defaults for the rest.

    Raises ConfigError that says which step and parameter, what was expected, and what was given.
    """
    cls = step_class(spec.name, steps)
    types = _field_types(cls)
    values: dict[str, Any] = {}
    for key, value in spec.params:
        if key not in types:
            raise ConfigError(f"step {spec.name}: unknown parameter {key!r}; it takes "
                              f"{', '.join(types)}{_closest(key, types)}")
        if key in values:
            raise ConfigError(f"step {spec.name}: parameter {key} is given twice")
        values[key] = _converted(spec.name, key, value, types[key])
    try:
        return cls(**values)
    except ValueError as error:
        raise ConfigError(f"step {spec.name}: {error}") from error


def validate_order(technique: Technique, steps: Mapping[str, str] = STEPS) -> None:
    """Raise ConfigError if a step that works on the torch model comes after one that works on the ONNX file."""
    before: str | None = None
    for spec in technique.steps:
        kind = step_class(spec.name, steps).kind
        if kind == "torch" and before is not None:
            raise ConfigError(f"technique {technique.name}: {spec.name} works on the torch model and cannot follow "
                              f"{before}, which works on the exported ONNX file; put {spec.name} first")
        if kind == "onnx":
            before = spec.name


def describe_steps(steps: Mapping[str, str] = STEPS) -> tuple[StepDescription, ...]:
    """All steps with their parameters and defaults, by name."""
    described = []
    for name in sorted(steps):
        cls = step_class(name, steps)
        types = _field_types(cls)
        parameters = tuple(ParameterDescription(name=field.name, expected=_expected(types[field.name]),
                                                default=field.default)
                           for field in dataclasses.fields(cls))  # type: ignore[arg-type]
        described.append(StepDescription(name=name, kind=cls.kind, summary=cls.summary, parameters=parameters))
    return tuple(described)


def step_params(step: Step) -> tuple[tuple[str, object], ...]:
    """Every parameter of a step with its value, defaults written out, by name."""
    values = dataclasses.asdict(step)  # type: ignore[call-overload]
    return tuple(sorted(values.items()))


def _field_types(cls: StepClass) -> dict[str, object]:
    hints = typing.get_type_hints(cls)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}  # type: ignore[arg-type]


def _converted(step: str, key: str, value: object, expected: object) -> object:
    """The value in the field's type: a whole number is a fine number, a list a fine tuple; nothing else bends."""
    for option in _options(expected):
        if option is float and isinstance(value, int) and not isinstance(value, bool):
            return float(value)
        if _is_tuple(option) and isinstance(value, (tuple, list)) and all(isinstance(item, str) for item in value):
            return tuple(value)
        if typing.get_origin(option) is Literal and value in typing.get_args(option):
            return value
        if isinstance(option, type) and type(value) is option:
            return value
    raise ConfigError(f"step {step}: {key}: expected {_expected(expected)}, got {value!r}"
                      f"{_closest(value, _choices(expected))}")


def _options(expected: object) -> tuple[object, ...]:
    is_union = isinstance(expected, UnionType) or typing.get_origin(expected) is typing.Union
    return typing.get_args(expected) if is_union else (expected,)


def _is_tuple(option: object) -> bool:
    return typing.get_origin(option) is tuple


def _choices(expected: object) -> list[str]:
    return [choice for option in _options(expected) if typing.get_origin(option) is Literal
            for choice in typing.get_args(option)]


def _expected(expected: object) -> str:
    choices = _choices(expected)
    words = [_WORDS[tuple if _is_tuple(option) else option] for option in _options(expected)
             if typing.get_origin(option) is not Literal]
    return " or ".join([*([f"one of {', '.join(choices)}"] if choices else []), *words])


def _closest(given: object, known: Iterable[str]) -> str:
    matches = difflib.get_close_matches(given, list(known), n=1) if isinstance(given, str) else []
    return f"; did you mean {matches[0]!r}?" if matches else ""


def _shown(value: object) -> str:
    """As it would stand in a campaign file."""
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_shown, value)) + "]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)
