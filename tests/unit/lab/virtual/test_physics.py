"""The laws of a virtual board, as laws: for any load, however it is cut into steps."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.errors import ConfigError
from lab.virtual.physics import Physics
from tests.support.virtual_agent import PHYSICS

S = 1_000_000_000
BOARD = Physics.from_pairs(PHYSICS.items())

powers_w = st.floats(min_value=0.0, max_value=50.0)
durations_ns = st.integers(min_value=1, max_value=1000 * S)
shares = st.floats(min_value=0.0, max_value=64.0)
steps = st.lists(st.tuples(durations_ns, shares), min_size=1, max_size=20)


def board(**changes):
    return Physics.from_pairs({**PHYSICS, **changes}.items())


@given(idle_w=powers_w, busy_w=powers_w, duration_ns=durations_ns, cores=st.integers(min_value=0, max_value=64))
def test_constant_load_costs_power_times_time(idle_w, busy_w, duration_ns, cores):
    physics = board(idle_w=idle_w, busy_per_core_w=busy_w)
    after = physics.step(physics.start(), duration_ns, cores * duration_ns)
    expected_j = (idle_w + cores * busy_w) * duration_ns * 1e-9
    assert physics.energy_j(after) == pytest.approx(expected_j, rel=1e-12)
    assert physics.mean_power_w(physics.start(), after) == pytest.approx(idle_w + cores * busy_w, rel=1e-12)


@given(parts=steps)
def test_energy_does_not_depend_on_how_often_one_looks(parts):
    """Exactly, not nearly: both sides are the same sum of whole nanoseconds."""
    state = BOARD.start()
    cpu_ns = 0
    for duration_ns, share in parts:
        used_ns = round(duration_ns * share)
        cpu_ns += used_ns
        state = BOARD.step(state, duration_ns, used_ns)
    whole = BOARD.step(BOARD.start(), sum(duration_ns for duration_ns, _ in parts), cpu_ns)
    assert (state.elapsed_ns, state.cpu_ns) == (whole.elapsed_ns, whole.cpu_ns)
    assert BOARD.energy_j(state) == BOARD.energy_j(whole)


@given(parts=steps)
def test_energy_is_the_sum_of_mean_power_times_time(parts):
    state = BOARD.start()
    total_j = 0.0
    for duration_ns, share in parts:
        after = BOARD.step(state, duration_ns, round(duration_ns * share))
        total_j += BOARD.mean_power_w(state, after) * duration_ns * 1e-9
        state = after
    assert BOARD.energy_j(state) == pytest.approx(total_j, rel=1e-9)


@given(duration_ns=durations_ns, cuts=st.integers(min_value=1, max_value=50), cores=st.integers(0, 8))
def test_temperature_under_constant_load_does_not_depend_on_the_steps(duration_ns, cuts, cores):
    whole = BOARD.step(BOARD.start(), duration_ns * cuts, cores * duration_ns * cuts)
    state = BOARD.start()
    for _ in range(cuts):
        state = BOARD.step(state, duration_ns, cores * duration_ns)
    assert state.temperature_c == pytest.approx(whole.temperature_c, abs=1e-6)


@given(idle_w=powers_w, busy_w=powers_w, ambient_c=st.floats(min_value=-20, max_value=50), cores=st.integers(0, 8))
def test_temperature_converges_to_ambient_plus_power_times_resistance(idle_w, busy_w, ambient_c, cores):
    physics = board(idle_w=idle_w, busy_per_core_w=busy_w, ambient_c=ambient_c)
    tau_ns = round(8.0 * 25.0 * S)
    after = physics.step(physics.start(), 40 * tau_ns, 40 * tau_ns * cores)
    assert after.temperature_c == pytest.approx(ambient_c + (idle_w + cores * busy_w) * 8.0, abs=1e-6)


def test_after_one_time_constant_63_percent_of_the_way_is_done():
    tau_ns = round(8.0 * 25.0 * S)
    start = BOARD.start()
    after = BOARD.step(start, tau_ns, tau_ns)
    rise_c = (after.temperature_c - start.temperature_c) / (1.5 * 8.0)
    assert rise_c == pytest.approx(1 - math.exp(-1), rel=1e-9)


@given(parts=steps)
def test_temperature_stays_between_the_coldest_and_the_hottest_load(parts):
    state = BOARD.start()
    powers = [2.0] + [2.0 + 1.5 * share for _, share in parts]
    for duration_ns, share in parts:
        state = BOARD.step(state, duration_ns, int(duration_ns * share))
    low_c, high_c = 25.0 + 8.0 * min(powers), 25.0 + 8.0 * max(powers)
    assert low_c - 1e-6 <= state.temperature_c <= high_c + 1e-6


def test_a_board_starts_settled_at_idle():
    start = BOARD.start()
    assert start.temperature_c == 25.0 + 2.0 * 8.0
    later = BOARD.step(start, 1000 * S, 0)
    assert later.temperature_c == pytest.approx(start.temperature_c)
    assert BOARD.energy_j(start) == 0.0


@pytest.mark.parametrize("duration_ns", [0, -1, -S])
def test_no_time_changes_nothing(duration_ns):
    start = BOARD.start()
    assert BOARD.step(start, duration_ns, 0) is start
    assert BOARD.mean_power_w(start, start) == 2.0


def test_a_hot_board_lowers_its_clock_until_it_has_cooled():
    physics = board(throttle_temperature_c=45.0)
    cool = physics.start()
    assert cool.clock_hz == 1_500_000_000
    hot = physics.step(cool, 1000 * S, 4 * 1000 * S)
    assert hot.temperature_c > 45.0
    assert hot.clock_hz == 1_000_000_000
    warm = physics.step(hot, 1000 * S, 250 * S)
    assert 40.0 < warm.temperature_c < 45.0
    assert warm.clock_hz == 1_000_000_000, "it waits until 5 °C below the limit"
    cold = board(throttle_temperature_c=50.0).step(warm, 1000 * S, 0)
    assert cold.clock_hz == 1_500_000_000


@given(power_w=st.floats(min_value=0.0, max_value=100.0))
def test_the_sensor_is_off_by_half_a_step_at_most(power_w):
    shown_w = BOARD.sensor_microwatts(power_w) * 1e-6
    assert abs(shown_w - power_w) <= 0.00625 / 2 + 1e-6
    assert BOARD.sensor_microwatts(power_w) % 6250 == 0


def test_pairs_are_the_inverse():
    assert Physics.from_pairs(BOARD.pairs()) == BOARD


@pytest.mark.parametrize(("changes", "expected"), [
    ({"idle_w": -0.1}, "physics.idle_w: expected 0 to 1000, got -0.1"),
    ({"idle_w": math.nan}, "physics.idle_w"),
    ({"thermal_capacity_j_per_c": 0.0}, "physics.thermal_capacity_j_per_c"),
    ({"sensor_period_ns": 1.0}, "physics.sensor_period_ns"),
    ({"colour": 1.0}, "physics.colour: unknown"),
])
def test_constants_that_cannot_be_are_refused(changes, expected):
    with pytest.raises(ConfigError) as caught:
        board(**changes)
    assert expected in str(caught.value)


@pytest.mark.parametrize("key", sorted(PHYSICS))
def test_every_constant_is_needed(key):
    with pytest.raises(ConfigError, match=f"physics.{key}: missing"):
        Physics.from_pairs((name, value) for name, value in PHYSICS.items() if name != key)


def test_every_constant_has_its_unit_in_its_name():
    units = ("_ns", "_w", "_c", "_hz", "_bytes")
    assert [key for key in PHYSICS if not key.endswith(units)] == []
