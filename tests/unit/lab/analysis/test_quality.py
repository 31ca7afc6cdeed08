"""What speaks against a window's or a cell's numbers."""

import dataclasses

import pytest

from lab.analysis.quality import (
    ABSENT_POWER,
    clock_ratio,
    interval_ratio,
    merge_flags,
    percentile_flags,
    precision_flags,
    temperature_max_c,
    unresolved_percents,
    usable_blocks,
    why_unusable,
    window_flags,
)
from lab.domain.campaign import PROTOCOLS
from lab.domain.flags import FLAG_CODES, Flag, Severity
from lab.domain.recording import HostState
from lab.domain.result import Contribution, Interval, Quantity
from tests.support.windows import S, block, idle, times, trace, window

INFO, DEGRADED, VOID = Severity.INFO, Severity.DEGRADED, Severity.VOID


def flag(code="throttled", severity=DEGRADED, detail="", touched_ns=None):
    return Flag(code=code, severity=severity, detail=detail, touched_ns=touched_ns)


def codes(flags):
    return [each.code for each in flags]


def clocks(before_hz, after_hz):
    return {"state_before": HostState(frequencies_hz=before_hz, temperatures_c=(("cpu", 40.0),)),
            "state_after": HostState(frequencies_hz=after_hz, temperatures_c=(("cpu", 40.0),))}


@pytest.mark.parametrize(("changes", "reason"), [
    ({}, None),
    ({"flags": (flag(severity=DEGRADED),)}, None),
    ({"error": "worker_died: signal 9"}, "worker_died: signal 9"),
    ({"flags": (flag("output_not_finite", VOID, "NaN"),)}, "output_not_finite: NaN"),
    ({"flags": (flag("output_not_finite", VOID),)}, "output_not_finite"),
    ({"marks": ()}, "no inference was finished"),
    ({"latency_ns": ()}, "no inference was finished"),
])
def test_why_a_window_is_unusable(changes, reason):
    assert why_unusable(window(**changes)) == reason


def test_usable_blocks_are_those_without_a_reason():
    blocks = [block(0), block(1, error="x"), block(2)]
    assert [each.number for each in usable_blocks(blocks)] == [0, 2]


def test_a_sound_window_has_no_flags():
    assert window_flags(window()) == ()


def test_what_was_not_recorded_is_said():
    bare = window(state_before=HostState(), state_after=HostState(), memory_bytes=())
    found = window_flags(bare)
    assert set(codes(found)) == {"temperature_unknown", "frequency_unknown", "memory_unknown"}
    assert {each.severity for each in found} == {INFO}


def test_the_agents_own_reason_is_not_repeated():
    told = flag("temperature_unknown", INFO, "no thermal zone")
    found = window_flags(window(state_before=HostState(), state_after=HostState(), flags=(told,)))
    assert [each.detail for each in found if each.code == "temperature_unknown"] == ["no thermal zone"]


def test_the_windows_own_flags_stay():
    assert window_flags(window(flags=(flag("sampler_overrun"),))) == (flag("sampler_overrun"),)


@pytest.mark.parametrize("changes", [{"error": "corrupt: bad magic"}, {"latency_ns": ()}, {"marks": ()}])
def test_a_failed_window_is_void_with_the_reason(changes):
    found = [each for each in window_flags(window(**changes)) if each.code == "window_failed"]
    assert [each.severity for each in found] == [VOID]
    assert found[0].detail


def test_an_agents_own_void_flag_is_not_repeated():
    died = window(error="worker_died: 9", flags=(flag("worker_died", VOID, "9"),), memory_bytes=())
    assert codes(window_flags(died)) == ["worker_died"]


@pytest.mark.parametrize(("before_hz", "after_hz", "is_throttled"), [
    ((("a", 1000),), (("a", 1000),), False),
    ((("a", 1000),), (("a", 900),), False),
    ((("a", 1000),), (("a", 899),), True),
    ((("little", 500), ("big", 2000)), (("little", 500), ("big", 1500)), True),
    ((("a", 1000), ("b", 300)), (("a", 300), ("b", 1000)), False),
])
def test_throttled_is_a_fall_of_the_fastest_clock(before_hz, after_hz, is_throttled):
    assert ("throttled" in codes(window_flags(window(**clocks(before_hz, after_hz))))) is is_throttled


@pytest.mark.parametrize(("before_hz", "after_hz"), [((), (("a", 1),)), ((("a", 1),), ()), ((("a", 0),), (("a", 0),))])
def test_an_unknown_clock_is_not_throttled(before_hz, after_hz):
    found = codes(window_flags(window(**clocks(before_hz, after_hz))))
    assert "throttled" not in found
    assert "frequency_unknown" in found


def clock_trace(values_hz, **changes):
    at = times(S, 2 * S)
    steps = [values_hz[min(index * len(values_hz) // len(at), len(values_hz) - 1)] for index in range(len(at))]
    return trace(at, steps, rail="cpu0", quantity="frequency_hz", scale=1.0, **changes)


def test_clocks_sampled_under_load_count_before_the_states_around_it():
    """After the window the governor has let go already; in it the clock was steady."""
    let_go = clocks((("cpu0", 1_500_000_000),), (("cpu0", 600_000_000),))
    assert clock_ratio(window(**let_go)) == pytest.approx(0.4)
    assert clock_ratio(window(traces=(clock_trace([1_500_000_000]),), **let_go)) == 1.0


def test_a_clock_that_falls_during_the_window_is_seen():
    steady = clocks((("cpu0", 1_500_000_000),), (("cpu0", 1_500_000_000),))
    fell = window(traces=(clock_trace([1_500_000_000, 1_500_000_000, 1_000_000_000, 1_000_000_000]),), **steady)
    assert clock_ratio(fell) == pytest.approx(2 / 3)
    assert "throttled" in codes(window_flags(fell))


def test_failed_reads_of_a_clock_do_not_count():
    failed = tuple((index, 5) for index in range(len(times(S, 2 * S))))
    assert clock_ratio(window(traces=(clock_trace([-1], errors=failed),))) == 1.0
    assert clock_ratio(window(traces=(clock_trace([-1], errors=failed),), **clocks((), ()))) is None


def test_the_highest_temperature_anywhere_counts():
    hot = trace([S, 2 * S, 3 * S], [45_000, 99_000, -1], quantity="temperature_c", rail="cpu", scale=1e-3,
                errors=((2, 5),))
    assert temperature_max_c([window(), window(traces=(hot,))]) == pytest.approx(99.0)
    assert temperature_max_c([window()]) == 50.0
    assert temperature_max_c([window(state_before=HostState(), state_after=HostState())]) is None
    assert temperature_max_c([]) is None


def test_flags_of_blocks_become_one_per_code_with_the_worst_first():
    merged = merge_flags([(flag("memory_unknown", INFO, "a"), flag("throttled", DEGRADED, "x")),
                          (flag("throttled", INFO, "y"),), ()], some_usable=True)
    assert [(each.code, each.severity) for each in merged] == [("throttled", DEGRADED), ("memory_unknown", INFO)]
    assert merged[0].detail == "2 of 3 blocks: x; y"


def test_the_same_everywhere_is_said_once():
    merged = merge_flags([(flag(detail="x"),), (flag(detail="x"),)], some_usable=True)
    assert [each.detail for each in merged] == ["x"]


def test_many_details_are_cut_short():
    merged = merge_flags([(flag(detail=str(at)),) for at in range(5)], some_usable=True)
    assert merged[0].detail == "0; 1; and 3 more"


def test_touched_time_adds_up():
    assert merge_flags([(flag(touched_ns=3),), (flag(touched_ns=4),)], some_usable=True)[0].touched_ns == 7
    assert merge_flags([(flag(),)], some_usable=True)[0].touched_ns is None


@pytest.mark.parametrize(("some_usable", "severity"), [(True, DEGRADED), (False, VOID)])
def test_a_void_block_voids_the_result_only_if_no_other_is_left(some_usable, severity):
    assert merge_flags([(flag("worker_died", VOID),), ()], some_usable=some_usable)[0].severity is severity


@pytest.mark.parametrize("code", ABSENT_POWER)
def test_absent_power_takes_nothing_from_other_numbers(code):
    assert merge_flags([(flag(code, DEGRADED),)], some_usable=True)[0].severity is INFO


@pytest.mark.parametrize(("preset", "n_blocks", "expected"), [
    ("quick", 3, ["quick_look"]), ("standard", 6, []), ("standard", 2, ["few_blocks"]),
    ("quick", 1, ["quick_look", "few_blocks"]), ("standard", 0, [])])
def test_how_much_was_measured(preset, n_blocks, expected):
    found = precision_flags(PROTOCOLS[preset], n_blocks, None, None)
    assert codes(found) == expected
    assert all(each.severity is DEGRADED for each in found)


@pytest.mark.parametrize(("counts", "unresolved"), [
    ([368, 500], ()), ([367, 5000], (99,)), ([72] * 3, (99,)), ([71], (95, 99)), ([10, 10], (90, 95, 99)), ([], ())])
def test_every_window_must_resolve_a_percentile(counts, unresolved):
    windows = [window(range(1, count + 1)) for count in counts]
    assert unresolved_percents(windows) == unresolved
    assert codes(percentile_flags(windows)) == (["percentile_unresolved"] if unresolved else [])


def test_what_is_not_resolved_is_said_with_how_many_it_takes():
    (found,) = percentile_flags([window(range(1, 101)), window(range(1, 72))])
    assert (found.severity, found.detail.split(";")[0]) == (
        INFO, "n = 71 inferences in a window are too few for p95 (72), p99 (368)")


def spread(ratio):
    """An energy whose type A half-width is that part of it, beside a large type B line."""
    return Quantity(value=1.0, standard_uncertainty=1.0, coverage_factor=2.0, degrees_of_freedom=5.0, budget=(
        Contribution(name="blocks", kind="A", standard_uncertainty=ratio / 2.5706, degrees_of_freedom=5.0),
        Contribution(name="gain", kind="B", standard_uncertainty=1.0, degrees_of_freedom=1e9)))


@pytest.mark.parametrize(("latency", "energy", "named"), [
    (Interval(value=100.0, low=96.0, high=104.0), None, None),
    (Interval(value=100.0, low=90.0, high=110.0), None, "latency ± 10 %"),
    (Interval(value=100.0, low=None, high=None), None, None),
    (None, spread(0.04), None),
    (None, spread(0.2), "energy ± 20 %"),
])
def test_a_wide_interval_is_said_with_its_width(latency, energy, named):
    found = precision_flags(PROTOCOLS["standard"], 6, latency, energy)
    assert [each.detail.split(";")[0] for each in found] == ([named] if named else [])
    assert codes(found) == (["interval_wide"] if named else [])


@pytest.mark.parametrize(("interval", "ratio"), [
    (None, None), (Interval(value=1.0, low=None, high=2.0), None), (Interval(value=0.0, low=0.0, high=1.0), None),
    (Interval(value=4.0, low=3.0, high=5.0), 0.25)])
def test_interval_ratio(interval, ratio):
    assert interval_ratio(interval) == ratio


def test_every_code_used_here_is_a_known_one():
    awkward = [block(0, error="x", memory_bytes=(), state_before=HostState(), state_after=HostState()),
               block(1, **clocks((("a", 10),), (("a", 1),)))]
    found = [each for one in awkward for each in window_flags(one.window)]
    found += precision_flags(PROTOCOLS["quick"], 1, Interval(value=1.0, low=0.1, high=9.0), None)
    assert set(codes(found)) == {"window_failed", "temperature_unknown", "frequency_unknown", "throttled", "quick_look",
                                 "few_blocks", "interval_wide"}
    assert set(codes(found)) <= set(FLAG_CODES)


def test_an_idle_is_not_asked_for_memory_it_cannot_have():
    """Idles enter no flags of their own; this documents what would be said."""
    resting = dataclasses.replace(idle(0.5, 0, S, 0), error="died")
    assert "memory_unknown" not in codes(window_flags(resting))
