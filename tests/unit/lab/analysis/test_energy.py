"""Joules of windows and blocks."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.analysis.energy import block_energy, window_energy
from lab.domain.device import Rail, Scope
from lab.domain.flags import Severity
from tests.support import samples
from tests.support.windows import S, block, constant_counter, constant_power, idle, power_block, times, trace, window

PROFILE = samples.profile()
STEP = S // 50


def energy_of(*traces, **changes):
    return window_energy(window(traces=traces, **changes), PROFILE)


def failing(reads, count):
    """A 2 W trace over ten seconds in which that many reads failed."""
    at = times(S, 11 * S, S // reads)
    errors = tuple((20 + 5 * each, 5) for each in range(count))
    return trace(at, [2_000_000] * len(at), errors=errors)


@given(st.integers(1, 50_000), st.integers(10**6, 10**12), st.booleans())
def test_constant_power_gives_power_times_time(power_mw, length_ns, is_counter):
    found = energy_of(_steady(power_mw, length_ns, is_counter=is_counter), end_ns=S + length_ns)
    assert found.energy_j == pytest.approx(power_mw / 1000 * length_ns * 1e-9, rel=1e-9, abs=2e-9)
    assert found.mean_power_w == pytest.approx(power_mw / 1000, rel=1e-9, abs=2e-9 / (length_ns * 1e-9))
    assert found.flags == ()


def _steady(power_mw, length_ns, *, is_counter):
    """Fifty reads and one beyond each end; the counter in nanojoules has no rounding to speak of."""
    at = np.linspace(S - length_ns // 50, S + length_ns + length_ns // 50, 53).astype(np.int64)
    if is_counter:
        return trace(at, (at - at[0]) * power_mw // 1000, scale=1e-9, quantity="energy_j", kind="counter")
    return trace(at, [power_mw] * len(at), scale=1e-3)


def test_rails_add_up():
    profile = samples.profile(rails=(Rail(name="package-[0-9]", scope=Scope.PACKAGE, source="rapl", headline=True),))
    traces = [constant_counter(2.0, rail="package-0"), constant_counter(3.0, rail="package-1")]
    found = window_energy(window(traces=traces), profile)
    assert found.energy_j == pytest.approx(5.0)
    assert [(rail.name, rail.energy_j) for rail in found.rails] == [
        ("package-0", pytest.approx(2.0)), ("package-1", pytest.approx(3.0))]
    assert found.scope is Scope.PACKAGE


def test_no_source_is_none_with_a_flag_never_zero():
    found = energy_of()
    assert (found.energy_j, found.mean_power_w) == (None, None)
    assert [(flag.code, flag.severity) for flag in found.flags] == [("no_power_source", Severity.INFO)]


def test_a_window_without_marks_has_no_energy():
    assert energy_of(constant_power(2.0), marks=()).energy_j is None


@pytest.mark.parametrize(("reads", "count", "severity"), [
    (50, 0, None), (500, 1, None), (50, 1, Severity.DEGRADED), (50, 4, Severity.DEGRADED), (50, 6, Severity.VOID)])
def test_gaps_above_a_thousandth_degrade_and_above_a_hundredth_void(reads, count, severity):
    found = energy_of(failing(reads, count), end_ns=11 * S)
    assert [flag.severity for flag in found.flags] == ([severity] if severity else [])
    if severity is Severity.VOID:
        assert found.energy_j is None
    else:
        assert found.energy_j == pytest.approx(20.0)
    if severity:
        assert found.flags[0].code == "energy_gap"
        assert found.flags[0].touched_ns == count * S // reads


def test_a_reset_counter_voids_the_energy():
    at = times(S, 2 * S)
    raw = [1000 + 10 * index for index in range(len(at))]
    raw[30:] = [10 * index for index in range(len(at) - 30)]
    found = energy_of(trace(at, raw, quantity="energy_j", kind="counter", wrap_at=2**40))
    assert found.energy_j is None
    assert [(flag.code, flag.severity) for flag in found.flags] == [("counter_reset", Severity.VOID)]
    assert "VDD_IN" in found.flags[0].detail


def test_gross_and_net_per_inference():
    """2 W for 1 s over 10 inferences; idling takes 0.5 W."""
    found = block_energy(power_block(0, 2.0), PROFILE)
    assert (found.gross_j, found.net_j) == (pytest.approx(0.2), pytest.approx(0.15))
    assert (found.idle_power_w, found.idle_drift_w) == (pytest.approx(0.5), pytest.approx(0.0))
    assert found.inference_s == pytest.approx(0.1)


def test_idle_is_on_a_line_between_before_and_after():
    """Idles of 1 W around -0.5 s and 2 W around 3.5 s; the window's middle at 1.5 s is half way."""
    found = block_energy(power_block(0, 4.0, before_w=1.0, after_w=2.0), PROFILE)
    assert found.idle_at_window_w == pytest.approx(1.5)
    assert found.net_j == pytest.approx((4.0 - 1.5) / 10)
    assert found.idle_drift_w == pytest.approx(1.0)


def test_a_window_early_in_the_block_is_nearer_to_the_first_idle():
    idles = (idle(1.0, -S, 0, 0), idle(2.0, 7 * S, 8 * S, 5))
    found = block_energy(block(0, idles, traces=(constant_power(4.0),)), PROFILE)
    assert found.idle_at_window_w == pytest.approx(1.25)


@pytest.mark.parametrize("position", [0, 5])
def test_one_idle_alone_holds_throughout(position):
    found = block_energy(block(0, (idle(1.0, -S, 0, position),), traces=(constant_power(4.0),)), PROFILE)
    assert (found.idle_at_window_w, found.idle_drift_w) == (pytest.approx(1.0), None)
    assert found.net_j == pytest.approx(0.3)


def test_without_idle_there_is_gross_but_no_net():
    found = block_energy(block(0, (), traces=(constant_power(4.0),)), PROFILE)
    assert (found.gross_j, found.net_j, found.idle_power_w) == (pytest.approx(0.4), None, None)


@pytest.mark.parametrize("bad", [
    {"traces": ()},
    {"traces": (constant_power(1.0, -S, -S // 2),)},
    {"error": "sampler: died"},
    {"marks": ()},
])
def test_an_unusable_idle_is_left_out(bad):
    idles = (idle(1.0, -S, 0, 0, **bad), idle(2.0, 3 * S, 4 * S, 2))
    found = block_energy(block(0, idles, traces=(constant_power(4.0),)), PROFILE)
    assert found.idle_at_window_w == pytest.approx(2.0)


def test_idles_of_another_boot_are_not_placed_in_time():
    idles = tuple(dataclasses.replace(each, boot_id="boot-2", traces=(constant_power(
        power_w, start, start + S, clock="agent:boot-2"),)) for each, power_w, start in (
            (idle(1.0, 100 * S, 101 * S, 0), 1.0, 100 * S), (idle(3.0, 200 * S, 201 * S, 2), 3.0, 200 * S)))
    found = block_energy(block(0, idles, traces=(constant_power(4.0),)), PROFILE)
    assert found.idle_at_window_w == pytest.approx(2.0)


def test_idles_at_one_instant_are_averaged():
    idles = (idle(1.0, -S, 0, 0), idle(2.0, -S, 0, 2))
    found = block_energy(block(0, idles, traces=(constant_power(4.0),)), PROFILE)
    assert found.idle_at_window_w == pytest.approx(1.5)


@pytest.mark.parametrize("power_w", [0.0, -2.0])
def test_power_that_is_not_above_zero_is_no_measurement(power_w):
    found = block_energy(power_block(0, power_w), PROFILE)
    assert (found.gross_j, found.net_j) == (None, None)
    assert "power_unreadable" in {flag.code for flag in found.window.flags}


def test_net_may_be_negative_and_says_so():
    assert block_energy(power_block(0, 1.0, before_w=2.0, after_w=2.0), PROFILE).net_j == pytest.approx(-0.1)


@given(st.integers(2_000, 50_000), st.integers(1, 1_000), st.integers(0, 1_000))
def test_an_offset_of_the_sensor_leaves_net_energy_unchanged(power_mw, idle_mw, offset_mw):
    plain = block_energy(power_block(0, power_mw / 1000, idle_mw / 1000, idle_mw / 1000), PROFILE)
    shifted = block_energy(power_block(0, (power_mw + offset_mw) / 1000, (idle_mw + offset_mw) / 1000,
                                       (idle_mw + offset_mw) / 1000), PROFILE)
    assert shifted.net_j == pytest.approx(plain.net_j, rel=1e-9, abs=1e-9)
    assert shifted.gross_j - plain.gross_j == pytest.approx(offset_mw / 10_000, abs=1e-9)


@given(st.integers(1, 200))
def test_twice_the_inferences_in_the_same_energy_cost_half(count):
    one = block_energy(power_block(0, 2.0, latency_ns=(1000,) * count), PROFILE)
    two = block_energy(power_block(0, 2.0, latency_ns=(1000,) * (2 * count)), PROFILE)
    assert one.gross_j == pytest.approx(2 * two.gross_j)
