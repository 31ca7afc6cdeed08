"""Units stand in names: every number with a dimension in the domain and in the block plan ends in its unit."""

import dataclasses
import importlib
import inspect
import pkgutil
import typing

import numpy as np
import pytest

import lab.domain
from agents.wire import plan

UNITS = ("_ns", "_s", "_j", "_w", "_v", "_a", "_c", "_hz", "_bytes", "_ratio", "_ppm")

PURE_NUMBERS = {
    # counts, positions and sizes in pieces
    "batch", "blocks_max", "blocks_min", "cells_done", "cells_failed", "cells_total", "cpu_count",
    "deadline_misses", "digits", "dropped", "errors", "exchanges", "failures", "inferences",
    "inferences_min", "macs", "n_blocks",
    "n_devices", "n_inferences", "number", "parameters", "position", "threads", "threads_max",
    # ordinals, versions and seeds
    "attempt", "epoch", "fence", "id", "ir_max", "ir_version", "opset", "opset_max", "order_seed", "priority", "seed",
    "seeds",
    # statistics without a dimension
    "coverage_factor", "degrees_of_freedom", "display_scale", "ratio",
}
"""Names that may stand without a unit because what they count has none."""

UNIT_BESIDE = {
    "Contribution.standard_uncertainty": "the unit of the quantity it belongs to",
    "Interval.high": "the unit of the field that holds the interval",
    "Interval.low": "the unit of the field that holds the interval",
    "Interval.value": "the unit of the field that holds the interval",
    "Quantity.standard_uncertainty": "the unit of the field that holds the quantity",
    "Quantity.value": "the unit of the field that holds the quantity",
    "DeviceProfile.physics": "pairs: each key ends in its unit",
    "StepSpec.params": "pairs: a step's parameters are its own fields",
    "Trace.raw": "raw sensor units: SI after `raw * scale`, the quantity says which",
    "Trace.scale": "SI units per raw unit",
    "Trace.wrap_at": "raw sensor units",
}
"""Fields whose unit stands in another field, and where."""


def dataclasses_of(module):
    return [cls for _, cls in inspect.getmembers(module, inspect.isclass)
            if dataclasses.is_dataclass(cls) and cls.__module__ == module.__name__]


def checked_classes():
    names = [f"lab.domain.{info.name}" for info in pkgutil.iter_modules(lab.domain.__path__)]
    modules = [importlib.import_module(name) for name in names] + [plan]
    return [cls for module in modules for cls in dataclasses_of(module)]


def holds_a_number(hint):
    """True if a value of this type is a number, an array, or a container of them."""
    if hint in (int, float, np.ndarray) or typing.get_origin(hint) is np.ndarray:
        return True
    return any(holds_a_number(part) for part in typing.get_args(hint))


def fields_with_numbers(cls):
    hints = typing.get_type_hints(cls)
    return [field.name for field in dataclasses.fields(cls) if holds_a_number(hints[field.name])]


def without_unit(cls):
    return [name for name in fields_with_numbers(cls)
            if not name.endswith(UNITS) and name not in PURE_NUMBERS and f"{cls.__name__}.{name}" not in UNIT_BESIDE]


@pytest.mark.parametrize("cls", checked_classes(), ids=lambda cls: f"{cls.__module__}.{cls.__name__}")
def test_every_number_with_a_dimension_names_its_unit(cls):
    assert without_unit(cls) == [], (
        f"add the unit to the name ({', '.join(UNITS)}), or, if it has none, the name to PURE_NUMBERS")


def test_all_rooms_of_the_domain_are_looked_at():
    modules = {cls.__module__ for cls in checked_classes()}
    assert {"lab.domain.recording", "lab.domain.result", "lab.domain.device", "agents.wire.plan"} <= modules


def test_the_lists_of_exceptions_hold_nothing_that_is_gone():
    classes = checked_classes()
    fields = {name for cls in classes for name in fields_with_numbers(cls)}
    qualified = {f"{cls.__name__}.{name}" for cls in classes for name in fields_with_numbers(cls)}
    assert sorted(PURE_NUMBERS - fields) == []
    assert sorted(set(UNIT_BESIDE) - qualified) == []


@dataclasses.dataclass
class Careless:
    latency: int
    power: float | None
    samples: tuple[tuple[int, float], ...]
    counts: np.ndarray
    name: str
    done: bool
    length_ns: int
    threads: int


def test_the_check_finds_what_it_is_for():
    assert without_unit(Careless) == ["latency", "power", "samples", "counts"]
