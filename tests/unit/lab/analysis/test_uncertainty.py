"""Budgets by hand, by property, and by how often their intervals hold the truth."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.analysis.energy import BlockEnergy, RailEnergy, WindowEnergy
from lab.analysis.uncertainty import combined, gross_quantity, net_quantity, type_a_ratio
from lab.domain.device import Rail, Scope
from lab.domain.result import Contribution, Quantity
from tests.support import samples

IDEAL = samples.RAIL
LIMITED = Rail(name="VDD_IN", scope=Scope.MODULE, source="hwmon", headline=True, resolution_w=0.1,
               gain_limit_ratio=0.02, offset_limit_w=0.3)


def block_energies(gross, rail=IDEAL, idle_w=None, drift_w=None, inferences=10):
    """Blocks of one second whose energy per inference is as given."""
    return [BlockEnergy(
        block_id=f"block-{at}", inferences=inferences, idle_power_w=idle_w, idle_at_window_w=idle_w,
        idle_drift_w=drift_w,
        window=WindowEnergy(energy_j=gross_j * inferences, duration_s=1.0, scope=rail.scope,
                            rails=(RailEnergy(name=rail.name, rail=rail, energy_j=gross_j * inferences),)))
        for at, gross_j in enumerate(gross)]


def lines(quantity):
    return {line.name: line.standard_uncertainty for line in quantity.budget}


def test_type_a_is_the_standard_error_of_the_blocks():
    quantity = gross_quantity(block_energies([0.1, 0.2, 0.3]))
    assert quantity.value == pytest.approx(0.2)
    assert quantity.standard_uncertainty == pytest.approx(0.1 / math.sqrt(3))
    assert (quantity.degrees_of_freedom, quantity.coverage_factor) == (pytest.approx(2.0), pytest.approx(4.3027, 1e-4))
    assert quantity.expanded == pytest.approx(4.3027 * 0.1 / math.sqrt(3), rel=1e-4)
    assert [(line.name, line.kind) for line in quantity.budget] == [("blocks", "A")]


def test_type_b_comes_from_the_rails_limits():
    """0.2 J per inference of 0.1 s: gain 2 %, offset 0.3 W, step 0.1 W."""
    budget = lines(gross_quantity(block_energies([0.2, 0.2, 0.2], LIMITED)))
    assert budget == {
        "blocks": pytest.approx(0.0, abs=1e-15),
        "gain VDD_IN": pytest.approx(0.2 * 0.02 / math.sqrt(3)),
        "offset VDD_IN": pytest.approx(0.3 * 0.1 / math.sqrt(3)),
        "resolution VDD_IN": pytest.approx(0.1 * 0.1 / math.sqrt(12)),
    }


def test_in_net_energy_the_offset_drops_out_and_the_gain_stays():
    budget = lines(net_quantity(block_energies([0.2, 0.2, 0.2], LIMITED, idle_w=0.5, drift_w=0.2)))
    assert budget == {
        "blocks": pytest.approx(0.0, abs=1e-15),
        "gain VDD_IN": pytest.approx(0.15 * 0.02 / math.sqrt(3)),
        "resolution VDD_IN": pytest.approx(math.sqrt(2) * 0.1 * 0.1 / math.sqrt(12)),
        "idle drift": pytest.approx(0.2 * 0.1 / math.sqrt(12)),
    }


def test_the_whole_is_combined_by_welch_and_satterthwaite():
    quantity = gross_quantity(block_energies([0.19, 0.2, 0.21], LIMITED))
    parts = [line.standard_uncertainty for line in quantity.budget]
    total = math.sqrt(sum(part**2 for part in parts))
    assert quantity.standard_uncertainty == pytest.approx(total)
    assert quantity.degrees_of_freedom == pytest.approx(total**4 / (parts[0] ** 4 / 2))


def test_two_rails_have_lines_of_their_own():
    two = [BlockEnergy(block_id=str(at), inferences=1, window=WindowEnergy(
        energy_j=3.0, duration_s=1.0, rails=(RailEnergy(name="a", rail=LIMITED, energy_j=1.0),
                                             RailEnergy(name="b", rail=LIMITED, energy_j=2.0)))) for at in range(3)]
    budget = lines(gross_quantity(two))
    assert budget["gain b"] == pytest.approx(2 * budget["gain a"])
    assert {"offset a", "offset b", "resolution a", "resolution b"} <= set(budget)


@pytest.mark.parametrize("count", [1, 2])
def test_too_few_blocks_have_a_value_but_no_uncertainty(count):
    quantity = gross_quantity(block_energies([0.2] * count, LIMITED))
    assert quantity.value == pytest.approx(0.2)
    assert (quantity.standard_uncertainty, quantity.coverage_factor, quantity.degrees_of_freedom) == (None,) * 3
    assert quantity.expanded is None
    assert {line.kind for line in quantity.budget} == {"B"}


def test_without_energy_there_is_no_quantity():
    absent = BlockEnergy(block_id="a", inferences=1, window=WindowEnergy(energy_j=None, duration_s=1.0))
    assert gross_quantity([]) is None
    assert gross_quantity([absent]) is None
    assert net_quantity([absent]) is None
    assert net_quantity(block_energies([0.2] * 3)) is None


def test_blocks_without_energy_do_not_count():
    absent = BlockEnergy(block_id="a", inferences=1, window=WindowEnergy(energy_j=None, duration_s=1.0))
    assert gross_quantity([absent, *block_energies([0.2] * 3)]) == gross_quantity(block_energies([0.2] * 3))


@given(st.lists(st.tuples(st.floats(1e-9, 1e9), st.floats(1, 1e6) | st.just(math.inf)), min_size=1, max_size=6))
def test_effective_degrees_lie_between_the_smallest_and_the_sum(pairs):
    budget = [Contribution(name=str(at), kind="A", standard_uncertainty=u, degrees_of_freedom=nu)
              for at, (u, nu) in enumerate(pairs)]
    total, degrees = combined(budget)
    assert total >= max(u for u, _ in pairs) * (1 - 1e-12)
    assert degrees >= min(nu for _, nu in pairs) * (1 - 1e-9)
    assert degrees <= sum(nu for _, nu in pairs) * (1 + 1e-9)


def test_nothing_uncertain_has_no_uncertainty():
    sure = Contribution(name="blocks", kind="A", standard_uncertainty=0.0, degrees_of_freedom=4.0)
    assert combined([sure]) == (0.0, 4.0)
    assert combined([]) == (0.0, math.inf)


def test_the_share_more_blocks_could_narrow():
    quantity = gross_quantity(block_energies([0.19, 0.2, 0.21], LIMITED))
    spread = quantity.budget[0]
    assert type_a_ratio(quantity) == pytest.approx(spread.standard_uncertainty * 4.3027 / 0.2, rel=1e-4)
    assert type_a_ratio(gross_quantity(block_energies([0.2]))) is None
    assert type_a_ratio(Quantity(value=0.0, standard_uncertainty=1.0, coverage_factor=2.0, degrees_of_freedom=5.0,
                                 budget=(spread,))) is None


@pytest.mark.parametrize("n_blocks", [3, 6, 12])
def test_the_interval_holds_the_truth_as_often_as_it_says(n_blocks):
    """Blocks scatter by 3 %, and each campaign's sensor has one gain and one offset within its limits."""
    random = np.random.default_rng(n_blocks)
    hits = 0
    for _ in range(1500):
        gain = 1 + random.uniform(-0.02, 0.02)
        offset_j = random.uniform(-0.3, 0.3) * 0.1
        seen = 0.2 * np.exp(random.normal(0, 0.03, n_blocks)) * gain + offset_j
        quantity = gross_quantity(block_energies(seen.tolist(), LIMITED))
        hits += abs(quantity.value - 0.2) <= quantity.expanded
    assert 0.93 <= hits / 1500 <= 1.0


@pytest.mark.parametrize("n_blocks", [3, 6, 12])
def test_with_an_ideal_sensor_it_holds_the_truth_95_times_in_100(n_blocks):
    random = np.random.default_rng(n_blocks)
    hits = 0
    for _ in range(2000):
        quantity = gross_quantity(block_energies((0.2 + random.normal(0, 0.01, n_blocks)).tolist()))
        hits += abs(quantity.value - 0.2) <= quantity.expanded
    assert 0.93 <= hits / 2000 <= 0.97
