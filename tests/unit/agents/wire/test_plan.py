"""A block plan survives JSON, and one that is wrong is refused by the name of the wrong field."""

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.wire.plan import (
    MAX_WINDOW_NS,
    MAX_WINDOWS,
    BlockPlan,
    LoadPlan,
    PlanError,
    WindowPlan,
    plan_from_json,
    plan_to_json,
)

IDS = st.from_regex(r"[0-9a-zA-Z][0-9a-zA-Z_.-]{0,20}", fullmatch=True)
SHA256 = st.from_regex(r"[0-9a-f]{64}", fullmatch=True)
WHOLE = st.integers(0, 2**62)
LOADS = st.just(LoadPlan()) | st.builds(LoadPlan, st.just("paced"), st.floats(0.001, 1e6), st.none() | WHOLE)
WINDOWS = st.builds(
    WindowPlan, cell_id=IDS, artifact_sha256=SHA256, inputs_sha256=st.none() | SHA256, runtime=IDS,
    threads=st.integers(1, 64), batch=st.integers(1, 64), warmup_ns=WHOLE, length_ns=st.integers(0, MAX_WINDOW_NS),
    inferences_min=WHOLE, load=LOADS)
PLANS = st.builds(
    BlockPlan, block_id=IDS, number=WHOLE, attempt=WHOLE,
    windows=st.lists(WINDOWS, min_size=1, max_size=4).map(tuple), idle_ns=WHOLE,
    probes=st.lists(IDS, max_size=4).map(tuple), sample_rate_hz=st.floats(0.01, 10_000), window_deadline_ns=WHOLE,
    state=st.lists(st.tuples(IDS, st.text(max_size=30)), max_size=3).map(tuple))
JUNK = st.sampled_from([None, True, -1, 1.5, "", "a/b", "x\n", [], {}, [1], "../up", float("nan"), 2**70])


def good():
    window = WindowPlan("cell", "a" * 64, None, "no_op", 1, 1, 0, 1000, 1)
    return plan_to_json(BlockPlan("block", 0, 1, (window,), 1000, ("rapl",), 50.0, 10_000))


def plan_or_refusal(data, name):
    """The plan, or None after a refusal that names the field."""
    refusal = ""
    try:
        return plan_from_json(data)
    except PlanError as error:
        refusal = str(error)
    assert name in refusal
    return None


@given(PLANS)
def test_a_plan_comes_back_from_json_as_it_was(plan):
    assert plan_from_json(json.loads(json.dumps(plan_to_json(plan)))) == plan


NOT_PLANS = st.recursive(
    st.none() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3))


@given(NOT_PLANS)
def test_anything_that_is_no_plan_is_a_plan_error(data):
    with pytest.raises(PlanError):
        plan_from_json(data)


@given(st.sampled_from(sorted(good())), JUNK)
def test_junk_in_a_field_is_accepted_only_as_what_it_says(name, junk):
    data = good()
    data[name] = junk
    plan = plan_or_refusal(data, name)
    if plan is None:
        return
    assert json.loads(json.dumps(plan_to_json(plan)))[name] == junk


@given(st.sampled_from(sorted(good()["windows"][0])), JUNK)
def test_junk_in_a_window_is_accepted_only_as_what_it_says(name, junk):
    data = good()
    data["windows"][0][name] = junk
    plan = plan_or_refusal(data, name)
    if plan is None:
        return
    found = json.loads(json.dumps(plan_to_json(plan)))["windows"][0][name]
    assert found == junk or (junk == {} and name == "load")


@pytest.mark.parametrize("name", sorted(good()))
def test_a_missing_field_is_named(name):
    data = good()
    del data[name]
    if name == "state":
        assert plan_from_json(data).state == ()
    else:
        with pytest.raises(PlanError, match=rf"plan\.{name}: missing"):
            plan_from_json(data)


def test_an_unknown_field_is_named():
    with pytest.raises(PlanError, match=r"plan\.colour: unknown"):
        plan_from_json({**good(), "colour": 1})


@pytest.mark.parametrize(("changes", "text"), [
    ({"threads": 0}, "threads: expected at least 1"),
    ({"batch": 0}, "batch: expected at least 1"),
    ({"length_ns": MAX_WINDOW_NS + 1}, "length_ns: at most"),
    ({"artifact_sha256": "a" * 64 + "\n"}, "artifact_sha256"),
    ({"load": {"kind": "burst"}}, "expected back_to_back or paced"),
    ({"load": {"kind": "paced"}}, "rate_hz"),
    ({"load": {"kind": "paced", "rate_hz": 0}}, "rate_hz"),
    ({"load": {"kind": "paced", "rate_hz": 10, "deadline_ns": -1}}, "deadline_ns"),
    ({"load": {"rate_hz": 10}}, "belong to kind paced only"),
])
def test_a_window_that_makes_no_sense_is_refused(changes, text):
    data = good()
    data["windows"][0].update(changes)
    with pytest.raises(PlanError, match=text):
        plan_from_json(data)


@pytest.mark.parametrize("count", [0, MAX_WINDOWS + 1])
def test_the_number_of_windows_is_bounded(count):
    data = good()
    data["windows"] = [copy.deepcopy(data["windows"][0]) for _ in range(count)]
    with pytest.raises(PlanError, match="windows"):
        plan_from_json(data)


def test_a_lease_must_cover_both_idles_and_every_window():
    plan = plan_from_json(good())
    assert plan.duration_max_ns() == 2 * (1000 + 10_000) + 10_000
