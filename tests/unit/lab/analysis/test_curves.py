"""Energy between two instants, from every kind of sensor, with every kind of fault."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lab.analysis.curves import curve_of, product_curve, succeeded
from tests.support.windows import S, constant_counter, constant_power, times, trace

STEP = S // 50
RANGE = 262_143_328_850
"""Range of a RAPL counter in microjoules."""

instants = st.integers(S, 2 * S)
powers_mw = st.integers(1, 100_000)
raws = st.lists(st.integers(0, 10**9), min_size=2, max_size=60)


@given(powers_mw, instants, instants)
def test_constant_sampled_power_gives_power_times_time(power_mw, start_ns, end_ns):
    curve = curve_of(constant_power(power_mw / 1000))
    start_ns, end_ns = sorted((start_ns, end_ns))
    expected = power_mw / 1000 * (end_ns - start_ns) * 1e-9
    assert curve.energy_j(start_ns, end_ns) == pytest.approx(expected, rel=1e-9, abs=1e-15)


@given(powers_mw, instants, instants)
def test_constant_mean_power_gives_power_times_time(power_mw, start_ns, end_ns):
    curve = curve_of(constant_power(power_mw / 1000, kind="interval_mean"))
    start_ns, end_ns = sorted((start_ns, end_ns))
    expected = power_mw / 1000 * (end_ns - start_ns) * 1e-9
    assert curve.energy_j(start_ns, end_ns) == pytest.approx(expected, rel=1e-9, abs=1e-15)


@given(powers_mw, instants, instants)
def test_a_steady_counter_gives_power_times_time(power_mw, start_ns, end_ns):
    """20 ms at whole milliwatts is a whole number of microjoules, so nothing is rounded away."""
    curve = curve_of(constant_counter(power_mw / 1000))
    start_ns, end_ns = sorted((start_ns, end_ns))
    expected = power_mw / 1000 * (end_ns - start_ns) * 1e-9
    assert curve.energy_j(start_ns, end_ns) == pytest.approx(expected, rel=1e-9, abs=1e-15)


@given(powers_mw, st.integers(RANGE // 2, RANGE - 1), instants, instants)
def test_a_wrap_at_any_place_gives_the_same_energy(power_mw, first, start_ns, end_ns):
    start_ns, end_ns = sorted((start_ns, end_ns))
    plain = curve_of(constant_counter(power_mw / 1000, first=first))
    wrapped = curve_of(constant_counter(power_mw / 1000, first=first, wrap_at=RANGE))
    assert wrapped.resets == ()
    assert wrapped.energy_j(start_ns, end_ns) == pytest.approx(plain.energy_j(start_ns, end_ns), rel=1e-12)


@pytest.mark.parametrize("at", range(1, 103))
def test_a_wrap_between_any_two_reads_gives_the_same_energy(at):
    counter = constant_counter(40.0, end_ns=3 * S, wrap_at=RANGE)
    grown = counter.raw - counter.raw[at] + RANGE
    curve = curve_of(trace(counter.t_ns, grown % RANGE, quantity="energy_j", kind="counter", wrap_at=RANGE))
    assert curve.resets == ()
    assert curve.energy_j(S, 3 * S) == pytest.approx(80.0, rel=1e-9)


def test_several_wraps_add_up():
    curve = curve_of(constant_counter(50.0, wrap_at=3_000_000))
    assert curve.energy_j(S, 2 * S) == pytest.approx(50.0, rel=1e-9)


def test_a_counter_of_64_bits_keeps_every_microjoule():
    first = 2**63 - 10_000_000_000
    assert curve_of(constant_counter(10.0, first=first)).energy_j(S, 2 * S) == pytest.approx(10.0, rel=1e-12)
    wide = constant_counter(10.0, first=first, wrap_at=2**64)
    assert curve_of(wide).energy_j(S, 2 * S) == pytest.approx(10.0, rel=1e-12)


@given(raws, st.data(), st.sampled_from(["sample", "interval_mean", "counter"]))
def test_energy_is_additive_over_marks(raw, data, kind):
    at = np.cumsum(data.draw(st.lists(st.integers(1, 10**8), min_size=len(raw), max_size=len(raw))))
    values = np.cumsum(raw) if kind == "counter" else raw
    curve = curve_of(trace(at, values, kind=kind, quantity="energy_j" if kind == "counter" else "power_w"))
    reach = st.integers(int(at[0]) - 10**8, int(at[-1]) + 10**8)
    a, b, c = sorted(data.draw(st.tuples(reach, reach, reach)))
    whole = curve.energy_j(a, c)
    assert curve.energy_j(a, b) + curve.energy_j(b, c) == pytest.approx(whole, rel=1e-9, abs=1e-12)


@given(raws, st.integers(2, 1000))
def test_energy_grows_with_the_scale(raw, factor):
    at = [index * STEP for index in range(len(raw))]
    one, many = (curve_of(trace(at, raw, scale=scale)).energy_j(0, at[-1]) for scale in (1e-6, factor * 1e-6))
    assert many == pytest.approx(factor * one)


def test_samples_are_joined_by_lines_up_to_the_marks():
    """Power rises 0 → 10 W in 10 s; from 2 s to 6 s it is 4 W on average."""
    curve = curve_of(trace([0, 10 * S], [0, 10_000_000]))
    assert curve.energy_j(2 * S, 6 * S) == pytest.approx(16.0)


def test_a_mean_counts_for_the_interval_that_ends_with_it():
    curve = curve_of(trace([S, 2 * S, 3 * S], [1_000_000, 2_000_000, 4_000_000], kind="interval_mean"))
    assert curve.energy_j(0, S) == pytest.approx(1.0)
    assert curve.energy_j(S, 2 * S) == pytest.approx(2.0)
    assert curve.energy_j(3 * S // 2, 5 * S // 2) == pytest.approx(3.0)


def test_a_mean_over_a_stated_interval_reaches_that_far_back():
    curve = curve_of(trace([S, 2 * S], [1_000_000, 2_000_000], kind="interval_mean", interval_ns=S // 2))
    assert curve.t_ns.tolist() == [S // 2, S, 2 * S]


def test_a_counter_is_level_between_reads():
    curve = curve_of(trace([0, S, 2 * S], [0, 1_000_000, 5_000_000], quantity="energy_j", kind="counter"))
    assert curve.energy_j(S // 2, 3 * S // 2) == pytest.approx(0.5 + 2.0)


def test_uneven_reads_are_weighed_by_time():
    at = [0, S, 4 * S]
    assert curve_of(trace(at, [1_000_000, 1_000_000, 3_000_000])).energy_j(0, 4 * S) == pytest.approx(1.0 + 6.0)


@pytest.mark.parametrize(("raw", "wrap_at"), [
    ([900, 950, 10, 60], None),          # without a range nothing can wrap
    ([300, 400, 10, 60], 1000),          # it was below half its range
])
def test_a_decrease_that_is_no_wrap_is_a_reset(raw, wrap_at):
    at = [0, STEP, 2 * STEP, 3 * STEP]
    curve = curve_of(trace(at, raw, quantity="energy_j", kind="counter", wrap_at=wrap_at))
    assert curve.has_reset(0, at[-1])
    assert not curve.has_reset(0, STEP)
    assert not curve.has_reset(2 * STEP, 3 * STEP)


def test_a_decrease_beside_a_failed_read_is_a_reset():
    at = [0, STEP, 2 * STEP, 3 * STEP]
    curve = curve_of(trace(at, [900, 950, -1, 60], quantity="energy_j", kind="counter", wrap_at=1000,
                           errors=((2, 5),)))
    assert curve.has_reset(0, at[-1])


def test_a_counter_beyond_its_range_is_a_reset():
    curve = curve_of(trace([0, STEP], [5000, 10], quantity="energy_j", kind="counter", wrap_at=1000))
    assert curve.has_reset(0, STEP)


def test_a_failed_read_is_not_a_zero():
    at = times(S, 2 * S)
    raw = [2_000_000] * len(at)
    raw[20] = -1
    curve = curve_of(trace(at, raw, errors=((20, 5),)))
    assert curve.energy_j(S, 2 * S) == pytest.approx(2.0)
    assert curve.missing_ns(S, 2 * S) == STEP


def test_a_failed_read_of_a_counter_loses_nothing():
    counter = constant_counter(2.0)
    raw = counter.raw.copy()
    raw[20] = -1
    curve = curve_of(trace(counter.t_ns, raw, quantity="energy_j", kind="counter", errors=((20, 5),)))
    assert curve.energy_j(S, 2 * S) == pytest.approx(2.0)
    assert curve.missing_ns(S, 2 * S) == 0


def test_a_counter_that_was_not_read_around_a_mark_cannot_be_split_there():
    counter = constant_counter(2.0)
    keep = (counter.t_ns < S - 10 * STEP) | (counter.t_ns > S + 9 * STEP)
    curve = curve_of(trace([S - 11 * STEP, *counter.t_ns[keep]], [0, *counter.raw[keep]], quantity="energy_j",
                           kind="counter"))
    assert curve.missing_ns(S, 2 * S) == 10 * STEP
    assert curve.missing_ns(S + 10 * STEP, 2 * S) == 0


def test_a_stall_is_missing_time_except_at_its_edges():
    at = [t_ns for t_ns in times(S, 2 * S) if not S + 10 * STEP < t_ns < S + 20 * STEP]
    curve = curve_of(trace(at, [2_000_000] * len(at)))
    assert curve.missing_ns(S, 2 * S) == 9 * STEP


def test_jittered_reads_are_no_stall():
    random = np.random.default_rng(3)
    at = np.cumsum(random.integers(STEP // 2, 3 * STEP // 2, size=200))
    assert curve_of(trace(at, [1] * 200)).missing_ns(int(at[0]), int(at[-1])) == 0


def test_reads_that_stop_early_leave_the_rest_missing():
    at = times(S, 3 * S // 2)
    curve = curve_of(trace(at, [2_000_000] * len(at)))
    assert curve.missing_ns(S, 2 * S) == 2 * S - at[-1]


def test_an_edge_shorter_than_a_step_is_bridged():
    at = list(range(S + STEP, 2 * S, STEP))
    curve = curve_of(trace(at, [2_000_000] * len(at)))
    assert curve.missing_ns(S, 2 * S) == 0
    assert curve.energy_j(S, 2 * S) == pytest.approx(2.0)


def test_dropped_reads_are_missing_time():
    assert curve_of(constant_power(2.0, dropped=3)).missing_ns(S, 2 * S) == 3 * STEP


def test_faults_outside_the_window_do_not_count():
    at = [t_ns for t_ns in times(0, 4 * S) if not 5 * S // 2 < t_ns < 3 * S]
    curve = curve_of(trace(at, [2_000_000] * len(at), errors=((0, 5), (1, 5))))
    assert curve.missing_ns(S, 2 * S) == 0


@given(st.sets(st.integers(0, 51)), st.integers(0, 5))
def test_missing_time_is_never_more_than_the_window(failed, dropped):
    assume(len(failed) <= 50)
    curve = curve_of(constant_power(2.0, errors=tuple((at, 5) for at in sorted(failed)), dropped=dropped))
    assert 0 <= curve.missing_ns(S, 2 * S) <= S
    assert curve.energy_j(S, 2 * S) == pytest.approx(2.0)


@pytest.mark.parametrize("bad", [
    trace([], []), trace([0], [1]), trace([0, S], [1, 1], errors=((1, 5),)),
    trace([0, S], [1, 1], quantity="energy_j", kind="counter", errors=((0, 13), (1, 13)))])
def test_fewer_than_two_good_reads_give_no_curve(bad):
    assert curve_of(bad) is None


def test_current_times_voltage_pair_by_pair():
    at = [0, S, 2 * S]
    current = trace(at, [1000, 2000, 3000], quantity="current_a", scale=1e-3)
    voltage = trace([t_ns + 10 for t_ns in at], [5000, 4000, 3000], quantity="voltage_v", scale=1e-3)
    curve = product_curve(current, voltage)
    assert curve.t_ns.tolist() == [5, S + 5, 2 * S + 5]
    assert curve.energy_j(5, 2 * S + 5) == pytest.approx((5 + 8) / 2 + (8 + 9) / 2)


def test_a_pair_is_missing_if_either_read_failed():
    at = times(S, 2 * S)
    current = trace(at, [1000] * len(at), quantity="current_a", scale=1e-3, errors=((10, 5),))
    voltage = trace(at, [5000] * len(at), quantity="voltage_v", scale=1e-3, errors=((20, 5),))
    curve = product_curve(current, voltage)
    assert curve.missing_ns(S, 2 * S) == 2 * STEP
    assert curve.energy_j(S, 2 * S) == pytest.approx(5.0)


def test_unequal_numbers_of_current_and_voltage_are_no_pairs():
    at = times(S, 2 * S)
    current = trace(at, [1000] * len(at), quantity="current_a")
    assert product_curve(current, trace(at[1:], [1] * len(at[1:]), quantity="voltage_v")) is None


def test_pairs_that_all_failed_give_no_curve():
    current = trace([0, S], [1, 1], quantity="current_a", errors=((0, 5),))
    assert product_curve(current, trace([0, S], [1, 1], quantity="voltage_v")) is None


def test_succeeded_marks_the_failed_reads():
    assert succeeded(trace([0, 1, 2], [1, -1, 1], errors=((1, 5),))).tolist() == [True, False, True]
