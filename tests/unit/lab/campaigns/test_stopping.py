"""When enough is enough: two stages, a cap on blocks, a cap on time."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.campaigns.stopping import first_stage_blocks, needs_more, planned_blocks
from lab.domain.campaign import PROTOCOLS

STANDARD = PROTOCOLS["standard"]
QUICK = PROTOCOLS["quick"]
S = 1_000_000_000
T_95_OF_5 = 2.570582


@pytest.mark.parametrize("done", [0, 1, 2])
def test_quick_goes_on_to_its_minimum(done):
    """Three blocks, whatever they say."""
    assert needs_more(QUICK, done, {}, 0).more


def test_quick_stops_at_its_minimum_however_wide_the_interval():
    """A look is a look."""
    decision = needs_more(replace(QUICK, blocks_max=30), 3, {"a": 5.0}, 0)
    assert not decision.more
    assert "quick" in decision.reason


@pytest.mark.parametrize(("half_width", "planned"), [(0.01, 6), (0.05, 6), (0.06, 9), (0.08, 16), (0.2, 20)])
def test_the_first_stage_decides_how_many_blocks_there_will_be(half_width, planned):
    """n = n₀·(h/d)², at least the first stage, at most the cap."""
    widths = {"narrow": 0.001, "wide": half_width, "failed": None}
    assert planned_blocks(STANDARD, widths, 6) == planned
    for done in range(6, 21):
        decision = needs_more(STANDARD, done, widths, 0, blocks_seen=6)
        assert decision.more == (done < planned)
    assert "±" in decision.reason or "limit" in decision.reason


def test_planned_number_is_not_changed_by_later_luck():
    """With the first stage's widths the plan stays the same at every later block."""
    assert {planned_blocks(STANDARD, {"a": 0.08}, 6) for _ in range(3)} == {16}
    assert needs_more(STANDARD, 12, {"a": 0.08}, 0, blocks_seen=6).reason == (
        "12 of 16 blocks planned for ± 5 % are measured")


def test_widths_over_all_blocks_are_scaled_from_all_blocks():
    """Without `blocks_seen` a width of 8 % after 12 blocks still asks for 31, not for 16."""
    assert needs_more(STANDARD, 12, {"a": 0.08}, 0).more
    assert not needs_more(STANDARD, 12, {"a": 0.049}, 0).more


@given(st.integers(0, 40), st.dictionaries(st.text(max_size=2), st.none() | st.floats(0, 10), max_size=4),
       st.integers(0, 10**13), st.sampled_from(["standard", "publish", "quick"]), st.none() | st.integers(1, 10**12))
def test_no_campaign_goes_on_for_ever_and_none_ends_without_cause(done, widths, spent_ns, preset, budget_ns):
    """Beyond the cap nothing is measured; below the minimum only the budget ends it; a reason is always given."""
    protocol = replace(PROTOCOLS[preset], budget_ns=budget_ns)
    decision = needs_more(protocol, done, widths, spent_ns)
    assert decision.reason
    if done >= protocol.blocks_max:
        assert not decision.more
    elif done < protocol.blocks_min and budget_ns is None:
        assert decision.more
    elif budget_ns is not None and done and spent_ns >= budget_ns:
        assert not decision.more


@given(st.floats(0, 1), st.floats(0, 1), st.integers(3, 20))
def test_a_wider_interval_never_asks_for_fewer_blocks(one, other, seen):
    """Monotone in the width."""
    low, high = sorted([one, other])
    assert planned_blocks(STANDARD, {"a": low}, seen) <= planned_blocks(STANDARD, {"a": high}, seen)


@pytest.mark.parametrize("width", [math.inf, math.nan])
def test_a_width_that_is_no_number_asks_for_the_cap(width):
    """Not knowing is no reason to stop early."""
    assert planned_blocks(STANDARD, {"a": width, "b": 0.01}, 6) == STANDARD.blocks_max
    assert planned_blocks(STANDARD, {"b": 0.01, "a": width}, 6) == STANDARD.blocks_max


def test_budget_ends_before_the_block_that_would_exceed_it():
    """Six blocks took 60 s each: a seventh does not fit into 400 s."""
    protocol = replace(STANDARD, budget_ns=400 * S)
    assert needs_more(protocol, 5, {}, 300 * S).more
    decision = needs_more(protocol, 6, {"a": 0.5}, 360 * S)
    assert not decision.more
    assert decision.reason == "another block would exceed the budget: 360 s of 400 s are spent"


def test_only_blocks_whose_time_counts_say_how_long_the_next_one_takes():
    """Resumed after six blocks: one more took 60 s, so the next one does too."""
    protocol = replace(STANDARD, budget_ns=100 * S)
    assert needs_more(protocol, 7, {"a": 0.5}, 60 * S).more
    assert not needs_more(protocol, 7, {"a": 0.5}, 60 * S, blocks_timed=1).more
    assert needs_more(protocol, 6, {"a": 0.5}, 0, blocks_timed=0).more


def test_the_first_block_is_always_measured():
    """A budget that is too small is seen only by measuring."""
    assert needs_more(replace(STANDARD, budget_ns=1), 0, {}, 0).more


def test_no_interval_at_all_ends_it():
    """Where every technique failed, more blocks bring nothing."""
    decision = needs_more(STANDARD, 6, {"a": None}, 0)
    assert not decision.more
    assert "no technique has an interval" in decision.reason


def test_fewer_than_three_blocks_are_no_first_stage():
    """Two blocks give no interval, so a minimum of one or two is read as three."""
    protocol = replace(STANDARD, blocks_min=1)
    assert first_stage_blocks(protocol) == 3
    assert needs_more(protocol, 2, {"a": None}, 0).more
    assert first_stage_blocks(replace(STANDARD, blocks_min=1, blocks_max=2)) == 2
    assert not needs_more(replace(STANDARD, blocks_min=1, blocks_max=2), 2, {}, 0).more


def test_the_two_stage_rule_keeps_its_promise():
    """Simulated: intervals from the first stage's spread cover the truth in 95 % of campaigns, at the asked width."""
    source = random.Random(4)
    protocol = replace(STANDARD, target_ci_ratio=0.05, blocks_max=10_000)
    covered, campaigns, sigma = 0, 2000, 0.08
    for _ in range(campaigns):
        first = [source.gauss(0, sigma) for _ in range(6)]
        mean = sum(first) / 6
        spread = math.sqrt(sum((value - mean) ** 2 for value in first) / 5)
        planned = planned_blocks(protocol, {"a": T_95_OF_5 * spread / math.sqrt(6)}, 6)
        rest = [source.gauss(0, sigma) for _ in range(planned - 6)]
        half_width = T_95_OF_5 * spread / math.sqrt(planned)
        assert half_width <= 0.05 * 1.0001
        covered += abs(sum(first + rest) / planned) <= half_width
    assert 0.94 <= covered / campaigns <= 0.97
