"""Stored domain values come back equal, whatever they hold; damaged text is refused."""

import dataclasses
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.domain.artifact import StepOutcome
from lab.domain.block import Cell
from lab.domain.campaign import Campaign, Load, StepSpec
from lab.domain.device import DeviceFacts, Scope
from lab.domain.flags import FLAG_CODES, Flag, Severity
from lab.domain.result import Contribution, Interval, Quantity
from lab.errors import StoreError
from lab.store.codec import from_text, to_text
from tests.support import samples

numbers = st.floats(allow_nan=False)
contributions = st.builds(
    Contribution, name=st.text(max_size=20), kind=st.sampled_from(["A", "B"]), standard_uncertainty=numbers,
    degrees_of_freedom=st.one_of(numbers, st.just(math.inf)))
quantities = st.builds(
    Quantity, value=numbers, standard_uncertainty=st.none() | numbers, coverage_factor=st.none() | numbers,
    degrees_of_freedom=st.none() | numbers, budget=st.lists(contributions, max_size=4).map(tuple))
flags = st.builds(Flag, code=st.sampled_from(sorted(FLAG_CODES)), severity=st.sampled_from(Severity),
                  detail=st.text(), touched_ns=st.none() | st.integers())
scalars = st.text() | st.integers() | st.floats(allow_nan=False) | st.booleans()
params = scalars | st.none() | st.lists(st.text() | st.integers() | numbers).map(tuple)


@given(quantities)
def test_a_quantity_and_its_budget_survive(quantity):
    assert from_text(Quantity, to_text(quantity)) == quantity


@given(st.lists(flags, max_size=5).map(tuple))
def test_flags_survive(found):
    assert from_text(tuple[Flag, ...], to_text(found)) == found


@given(st.lists(st.tuples(st.text(), params), max_size=5).map(tuple))
def test_step_parameters_keep_value_and_type(given_params):
    spec = StepSpec(name="prune", params=given_params)
    restored = from_text(StepSpec, to_text(spec))
    assert restored == spec
    assert [type(value) for _, value in restored.params] == [type(value) for _, value in spec.params]


@pytest.mark.parametrize(("hint", "value"), [
    (Campaign, samples.campaign()),
    (Cell, samples.cell(samples.INT8)),
    (DeviceFacts, samples.facts()),
    (tuple[StepOutcome, ...], samples.compressed().outcomes),
    (Load, Load(kind="paced", rate_hz=30.0, deadline_ns=10)),
    (Interval, Interval(value=1.0, low=None, high=math.inf)),
    (Scope | None, Scope.WALL),
    (Scope | None, None),
])
def test_domain_values_survive(hint, value):
    assert from_text(hint, to_text(value)) == value


def test_text_is_strict_json_even_with_infinity():
    text = to_text(Contribution(name="gain", kind="B", standard_uncertainty=0.1, degrees_of_freedom=math.inf))
    assert json.loads(text, parse_constant=pytest.fail)["degrees_of_freedom"] == {"float": "inf"}


def test_equal_values_have_equal_text():
    assert to_text(samples.campaign()) == to_text(dataclasses.replace(samples.campaign()))


@pytest.mark.parametrize(("hint", "text"), [
    (Interval, "{"),
    (Interval, "[]"),
    (Interval, '{"value": 1.0}'),
    (Interval, '{"value": "1", "low": null, "high": null}'),
    (Interval, '{"value": true, "low": null, "high": null}'),
    (tuple[Flag, ...], "{}"),
    (tuple[Flag, ...], '[{"code": "x", "severity": "terrible", "detail": ""}]'),
    (tuple[tuple[str, int], ...], '[["a"]]'),
    (Scope | None, '"galaxy"'),
    (Load, '{"kind": "sometimes"}'),
])
def test_damaged_text_is_a_store_error(hint, text):
    with pytest.raises(StoreError):
        from_text(hint, text)


def test_a_field_added_later_gets_its_default():
    assert from_text(Load, '{"kind": "paced"}') == Load(kind="paced")


@pytest.mark.parametrize("value", [object(), b"bytes", {"a": 1}, {1, 2}])
def test_what_has_no_place_in_the_domain_is_refused(value):
    with pytest.raises(StoreError, match="cannot be stored"):
        to_text(value)
