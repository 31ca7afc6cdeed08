"""A technique against its baseline, block by block."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.analysis.compare import compare
from lab.domain.device import Rail, Scope
from lab.domain.flags import Flag, Severity
from tests.support import samples
from tests.support.windows import block, constant_power, power_block

PROFILE = samples.profile()
CELL, BASELINE = samples.cell(samples.INT8).id, samples.cell().id


def latency_blocks(values, first=0):
    return [block(first + at, latency_ns=(value,) * 5) for at, value in enumerate(values)]


def latency_ratio(own, base):
    return compare("latency_p50_ns", CELL, own, BASELINE, base, PROFILE)


def energy_ratio(own_w, base_w, profile=PROFILE):
    own = [power_block(at, power) for at, power in enumerate(own_w)]
    base = [power_block(at, power) for at, power in enumerate(base_w)]
    return compare("energy_gross_j", CELL, own, BASELINE, base, profile)


def test_a_worked_example():
    """Ratios ½, ½·e⁰·¹, ½·e⁻⁰·¹: geometric mean ½, s = 0.1, half-width 4.303·0.1/√3 in logs."""
    base = [1_000_000_000] * 3
    own = [round(5e8 * math.exp(shift)) for shift in (0.0, 0.1, -0.1)]
    found = latency_ratio(latency_blocks(own), latency_blocks(base))
    half = 4.302652729749462 * 0.1 / math.sqrt(3)
    assert found.ratio == pytest.approx(0.5, rel=1e-6)
    assert (found.low_ratio, found.high_ratio) == (pytest.approx(0.5 * math.exp(-half), rel=1e-6),
                                                  pytest.approx(0.5 * math.exp(half), rel=1e-6))
    assert (found.answer, found.n_blocks, found.n_devices, found.subject) == ("better", 3, 1, "this artifact")
    assert (found.metric, found.cell_id, found.baseline_cell_id) == ("latency_p50_ns", CELL, BASELINE)
    assert found.flags == ()


@pytest.mark.parametrize(("own", "answer"), [
    ((500, 510, 505), "better"), ((1500, 1510, 1505), "worse"), ((1000, 990, 1010), "not distinguishable"),
    ((100, 1000, 5000), "not distinguishable")])
def test_lower_is_better(own, answer):
    assert latency_ratio(latency_blocks(own), latency_blocks((1000, 1000, 1000))).answer == answer


latencies = st.lists(st.integers(1, 10**9), min_size=3, max_size=12)


@given(latencies)
def test_a_cell_is_not_distinguishable_from_itself(values):
    found = latency_ratio(latency_blocks(values), latency_blocks(values))
    assert (found.ratio, found.low_ratio, found.high_ratio) == (1.0, 1.0, 1.0)
    assert found.answer == "not distinguishable"


@given(st.lists(st.integers(1, 100_000), min_size=3, max_size=8))
def test_nor_in_energy(powers_mw):
    powers = [power / 1000 for power in powers_mw]
    limited = Rail(name="VDD_IN", scope=Scope.MODULE, source="hwmon", headline=True, offset_limit_w=0.5)
    found = energy_ratio(powers, powers, samples.profile(rails=(limited,)))
    assert (found.ratio, found.answer) == (1.0, "not distinguishable")


@given(latencies, st.integers(2, 1000))
def test_scaling_all_latencies_gives_that_ratio(values, factor):
    found = latency_ratio(latency_blocks([value * factor for value in values]), latency_blocks(values))
    assert found.ratio == pytest.approx(factor)
    assert found.low_ratio == pytest.approx(factor)
    assert found.answer == "worse"


@given(latencies, st.data())
def test_swapping_the_two_inverts_the_ratio(values, data):
    others = data.draw(st.lists(st.integers(1, 10**9), min_size=len(values), max_size=len(values)))
    there = latency_ratio(latency_blocks(values), latency_blocks(others))
    back = latency_ratio(latency_blocks(others), latency_blocks(values))
    assert there.ratio * back.ratio == pytest.approx(1.0)
    assert there.low_ratio * back.high_ratio == pytest.approx(1.0)


@given(st.lists(st.integers(1_000, 50_000), min_size=3, max_size=6), st.data(), st.integers(2, 20))
def test_a_sensors_gain_cancels(base_mw, data, gain):
    own_mw = data.draw(st.lists(st.integers(1_000, 50_000), min_size=len(base_mw), max_size=len(base_mw)))
    plain = energy_ratio([power / 1000 for power in own_mw], [power / 1000 for power in base_mw])
    scaled = energy_ratio([gain * power / 1000 for power in own_mw], [gain * power / 1000 for power in base_mw])
    assert scaled.ratio == pytest.approx(plain.ratio)
    assert scaled.high_ratio == pytest.approx(plain.high_ratio)


def test_drift_between_blocks_cancels():
    """The device gets slower block by block; the technique stays at 0.8 of the baseline within each."""
    base = [1_000_000 * (1 + at) for at in range(6)]
    found = latency_ratio(latency_blocks([value * 8 // 10 for value in base]), latency_blocks(base))
    assert (found.ratio, found.answer) == (pytest.approx(0.8), "better")


def test_only_blocks_that_hold_both_count():
    found = latency_ratio(latency_blocks([500] * 5, first=2), latency_blocks([1000] * 5))
    assert (found.n_blocks, found.ratio) == (3, pytest.approx(0.5))


def test_a_window_that_may_not_be_used_takes_its_block_away():
    bad = block(2, latency_ns=(9,) * 5, flags=(Flag(code="worker_died", severity=Severity.VOID, detail=""),))
    found = latency_ratio([*latency_blocks([500, 500]), bad, *latency_blocks([500], first=3)],
                          latency_blocks([1000] * 4))
    assert (found.n_blocks, found.ratio) == (3, pytest.approx(0.5))


@pytest.mark.parametrize("count", [1, 2])
def test_few_shared_blocks_have_a_ratio_but_no_answer(count):
    found = latency_ratio(latency_blocks([500] * count), latency_blocks([1000] * 6))
    assert found.ratio == pytest.approx(0.5)
    assert (found.low_ratio, found.high_ratio, found.answer) == (None, None, "unknown")
    assert [flag.code for flag in found.flags] == ["few_blocks"]


@pytest.mark.parametrize(("own", "base"), [([], []), ([], [1000] * 3), ([500] * 3, [])])
def test_nothing_shared_has_no_ratio(own, base):
    found = latency_ratio(latency_blocks(own), latency_blocks(base))
    assert math.isnan(found.ratio)
    assert (found.n_blocks, found.answer) == (0, "unknown")
    assert [flag.code for flag in found.flags] == ["few_blocks"]


def test_a_latency_of_zero_has_no_logarithm_and_no_place():
    found = latency_ratio(latency_blocks([0, 500, 500, 500]), latency_blocks([1000] * 4))
    assert (found.n_blocks, found.ratio) == (3, pytest.approx(0.5))


def test_without_power_the_energy_ratio_is_unknown_and_says_why():
    blocks = latency_blocks([500] * 3)
    found = compare("energy_gross_j", CELL, blocks, BASELINE, blocks, PROFILE)
    assert math.isnan(found.ratio)
    assert found.answer == "unknown"
    assert [flag.code for flag in found.flags] == ["no_power_source"]


def test_power_on_the_wrong_rails_is_said_beside_the_ratio():
    blocks = [power_block(at, 1.0, traces=(constant_power(1.0, rail="VDD_SOC"),)) for at in range(3)]
    found = compare("energy_gross_j", CELL, blocks, BASELINE, blocks, PROFILE)
    assert math.isnan(found.ratio)
    assert [flag.code for flag in found.flags] == ["no_headline_rail"]


def test_energy_is_compared_per_inference():
    """Half the power at half the speed costs the same."""
    own = [power_block(at, 1.0, latency_ns=(2_000_000,) * 5) for at in range(3)]
    base = [power_block(at, 2.0, latency_ns=(1_000_000,) * 10) for at in range(3)]
    assert compare("energy_gross_j", CELL, own, BASELINE, base, PROFILE).ratio == pytest.approx(1.0)


def test_an_offset_limit_widens_only_the_ratio_of_unlike_powers():
    limited = samples.profile(rails=(Rail(name="VDD_IN", scope=Scope.MODULE, source="hwmon", headline=True,
                                          offset_limit_w=0.8),))
    assert energy_ratio([1.8] * 4, [2.0] * 4).answer == "better"
    unlike = energy_ratio([1.8] * 4, [2.0] * 4, limited)
    expected = 1.96 * 0.8 / math.sqrt(3) * (1 / 1.8 - 1 / 2.0)
    assert math.log(unlike.high_ratio / unlike.ratio) == pytest.approx(expected, rel=1e-3)
    large = energy_ratio([18.0] * 4, [20.0] * 4, limited)
    assert large.answer == "better"


def test_the_interval_covers_the_true_ratio_as_often_as_it_says():
    random = np.random.default_rng(5)
    hits = 0
    for _ in range(600):
        base = 1e9 * np.exp(random.normal(0, 0.5, 6))
        own = base * 0.9 * np.exp(random.normal(0, 0.05, 6))
        found = latency_ratio(latency_blocks(own.astype(np.int64)), latency_blocks(base.astype(np.int64)))
        hits += found.low_ratio <= 0.9 <= found.high_ratio
    assert 0.92 <= hits / 600 <= 0.98
