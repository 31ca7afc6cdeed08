"""One cell's recordings to one result."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from lab.analysis.quality import ABSENT_POWER
from lab.analysis.summarise import consistent_energies, summarise
from lab.domain.campaign import PROTOCOLS, Load, Settings
from lab.domain.device import Origin, Rail, Scope
from lab.domain.flags import FLAG_CODES, Flag, Severity, Verdict, verdict_of
from lab.domain.recording import HostState
from tests.support import samples
from tests.support.windows import S, block, constant_power, power_block, trace

CELL = samples.cell(protocol=PROTOCOLS["standard"])
PROFILE = samples.profile()


def codes(result):
    """All but `percentile_unresolved`, which every cell here has: its windows hold ten inferences."""
    return {flag.code for flag in result.flags} - {"percentile_unresolved"}


def severity_of(result, code):
    return next(flag.severity for flag in result.flags if flag.code == code)


def sound_blocks(count=6, **changes):
    return [power_block(number, 2.0, **changes) for number in range(count)]


def test_a_sound_cell_is_valid_and_whole():
    result = summarise(CELL, sound_blocks(), PROFILE)
    assert (result.cell_id, result.n_blocks, result.n_inferences) == (CELL.id, 6, 60)
    assert (result.verdict, codes(result)) == (Verdict.VALID, set())
    assert result.latency_p50_ns.value == 1e6
    assert result.latency_max_ns == 1_000_000
    assert result.throughput_hz == pytest.approx(10.0)
    assert (result.load_ns, result.first_inference_ns) == (30_000_000, 4_000_000)
    assert result.cpu_per_inference_ns == 5e7
    assert (result.memory_kind, result.memory_peak_bytes, result.memory_delta_bytes) == ("rss", 70_000_000, 20_000_000)
    assert (result.mean_power_w, result.idle_power_w) == (pytest.approx(2.0), pytest.approx(0.5))
    assert result.energy_gross_j.value == pytest.approx(0.2)
    assert result.energy_net_j.value == pytest.approx(0.15)
    assert (result.power_scope, result.power_origin) == (Scope.MODULE, Origin.MEASURED)
    assert result.temperature_max_c == 50.0


@pytest.mark.parametrize(("inferences", "known"), [(10, []), (36, [90]), (100, [90, 95]), (400, [90, 95, 99])])
def test_percentiles_that_a_window_cannot_tell_from_its_maximum_are_not_given(inferences, known):
    result = summarise(CELL, sound_blocks(latency_ns=tuple(range(1, inferences + 1))), PROFILE)
    assert [percent for percent in (90, 95, 99) if getattr(result, f"latency_p{percent}_ns")] == known
    assert (result.latency_p50_ns.value, result.latency_max_ns) == (inferences / 2, inferences)
    unresolved = [flag for flag in result.flags if flag.code == "percentile_unresolved"]
    assert [flag.severity for flag in unresolved] == ([] if len(known) == 3 else [Severity.INFO])
    assert result.verdict is Verdict.VALID


def test_one_short_window_takes_the_percentile_away_from_all():
    long = {"latency_ns": tuple(range(1, 401))}
    result = summarise(CELL, [*sound_blocks(5, **long), power_block(5, 2.0, latency_ns=(9,) * 50)], PROFILE)
    assert result.latency_p99_ns is None
    (flag,) = (flag for flag in result.flags if flag.code == "percentile_unresolved")
    assert flag.detail.startswith("n = 50 inferences in a window are too few for p95 (72), p99 (368)")


def test_blocks_give_the_interval():
    blocks = [power_block(number, 2.0 + number / 100, latency_ns=(1_000_000 + number,) * 10) for number in range(6)]
    result = summarise(CELL, blocks, PROFILE)
    assert result.latency_p50_ns.low < result.latency_p50_ns.value < result.latency_p50_ns.high
    assert result.energy_gross_j.degrees_of_freedom == pytest.approx(5.0)


def test_the_order_of_blocks_does_not_matter():
    blocks = [power_block(number, 2.0 + number / 10) for number in range(4)]
    assert summarise(CELL, blocks, PROFILE) == summarise(CELL, blocks[::-1], PROFILE)


def test_load_and_deadlines_are_told():
    paced = samples.cell(settings=Settings(load=Load(kind="paced", rate_hz=10.0, deadline_ns=5)))
    result = summarise(paced, sound_blocks(deadline_misses=2), PROFILE)
    assert result.load == paced.settings.load
    assert result.deadline_misses == 12


def test_no_recording_at_all_is_void_with_nothing_in_it():
    result = summarise(CELL, [], PROFILE)
    assert (result.n_blocks, result.n_inferences, result.verdict) == (0, 0, Verdict.VOID)
    assert codes(result) == {"window_missing"}
    numbers = dataclasses.asdict(result)
    for name in ("cell_id", "n_blocks", "n_inferences", "load", "flags", "verdict"):
        del numbers[name]
    assert set(numbers.values()) == {None}


def test_windows_that_all_failed_are_void_with_the_reason():
    result = summarise(CELL, [block(at, error="corrupt: bad magic", latency_ns=()) for at in range(3)], PROFILE)
    assert (result.n_blocks, result.verdict) == (0, Verdict.VOID)
    assert result.latency_p50_ns is None
    assert severity_of(result, "window_failed") is Severity.VOID
    assert "corrupt: bad magic" in next(flag.detail for flag in result.flags if flag.code == "window_failed")


@pytest.mark.parametrize("changes", [
    {"error": "worker_died: signal 9"},
    {"flags": (Flag(code="output_not_finite", severity=Severity.VOID, detail="NaN"),)},
])
def test_a_bad_window_enters_no_number_and_degrades_the_rest(changes):
    bad = power_block(9, 50.0, latency_ns=(9_000_000_000,) * 10, **changes)
    result = summarise(CELL, [*sound_blocks(), bad], PROFILE)
    clean = summarise(CELL, sound_blocks(), PROFILE)
    assert result.verdict is Verdict.DEGRADED
    assert dataclasses.replace(result, flags=clean.flags, verdict=clean.verdict) == clean
    assert any(flag.detail.startswith("1 of 7 blocks: ") for flag in result.flags)


def test_no_power_source_leaves_latency_valid():
    result = summarise(CELL, sound_blocks(traces=()), PROFILE)
    assert (result.energy_gross_j, result.energy_net_j, result.mean_power_w, result.idle_power_w) == (None,) * 4
    assert (result.power_scope, result.power_origin) == (None, None)
    assert codes(result) == {"no_power_source"}
    assert result.verdict is Verdict.VALID


def test_a_source_the_agent_could_not_read_is_not_called_absent():
    refused = Flag(code="power_unreadable", severity=Severity.DEGRADED, detail="energy_uj: permission denied")
    result = summarise(CELL, sound_blocks(traces=(), flags=(refused,)), PROFILE)
    assert codes(result) == {"power_unreadable"}
    assert result.verdict is Verdict.VALID


def test_power_on_rails_the_profile_does_not_count_is_no_energy_and_says_so():
    result = summarise(CELL, sound_blocks(traces=(constant_power(1.0, rail="VDD_SOC"),)), PROFILE)
    assert (result.energy_gross_j, result.power_scope) == (None, None)
    assert (codes(result), result.verdict) == ({"no_headline_rail"}, Verdict.VALID)


def test_a_sensor_the_agent_could_not_read_counts_for_more_than_other_rails():
    unreadable = (Flag(code="power_unreadable", severity=Severity.INFO, detail="EACCES"),)
    result = summarise(CELL, sound_blocks(traces=(constant_power(1.0, rail="VDD_SOC"),), flags=unreadable), PROFILE)
    assert codes(result) == {"power_unreadable"}


def test_simulated_power_says_so_and_keeps_its_origin():
    result = summarise(CELL, sound_blocks(), samples.profile(origin=Origin.SIMULATED))
    assert result.power_origin is Origin.SIMULATED
    assert severity_of(result, "simulated_power") is Severity.INFO
    assert result.verdict is Verdict.VALID


def test_without_power_there_is_nothing_simulated():
    result = summarise(CELL, sound_blocks(traces=()), samples.profile(origin=Origin.SIMULATED))
    assert "simulated_power" not in codes(result)
    assert result.power_origin is None


def test_energy_with_a_large_gap_is_left_out_and_latency_stays():
    gap = (trace([S - 10, S + S // 10], [2_000_000] * 2),)
    result = summarise(CELL, sound_blocks(traces=gap), PROFILE)
    assert result.energy_gross_j is None
    assert result.latency_p50_ns is not None
    assert (severity_of(result, "energy_gap"), result.verdict) == (Severity.DEGRADED, Verdict.DEGRADED)


def test_one_block_with_a_gap_takes_only_its_own_energy_away():
    gap = (trace([S - 10, S + S // 10], [9_000_000] * 2),)
    result = summarise(CELL, [*sound_blocks(5), power_block(5, 2.0, traces=gap)], PROFILE)
    assert result.n_blocks == 6
    assert result.energy_gross_j.value == pytest.approx(0.2)
    assert result.energy_gross_j.degrees_of_freedom == pytest.approx(4.0)
    assert result.mean_power_w == pytest.approx(2.0)


def test_without_idle_there_is_no_net_energy_and_it_says_why():
    result = summarise(CELL, [block(at, traces=(constant_power(2.0),)) for at in range(3)], PROFILE)
    assert result.energy_gross_j.value == pytest.approx(0.2)
    assert (result.energy_net_j, result.idle_power_w) == (None, None)
    assert severity_of(result, "idle_unknown") is Severity.INFO


def test_a_rail_that_comes_and_goes_is_not_energy_saved():
    profile = samples.profile(rails=(Rail(name="VDD_*", scope=Scope.RAIL, source="hwmon", headline=True),))
    both = (constant_power(1.0, rail="VDD_A"), constant_power(2.0, rail="VDD_B"))
    blocks = [block(at, traces=both) for at in range(3)] + [block(3, traces=both[:1])]
    result = summarise(CELL, blocks, profile)
    assert result.energy_gross_j.value == pytest.approx(0.3)
    assert result.energy_gross_j.degrees_of_freedom == pytest.approx(2.0)
    assert severity_of(result, "energy_gap") is Severity.DEGRADED
    assert [energy.gross_j is None for energy in consistent_energies(blocks, profile)] == [False] * 3 + [True]


def test_quick_and_few_and_wide_are_said():
    quick = samples.cell(protocol=PROTOCOLS["quick"])
    assert codes(summarise(quick, sound_blocks(3), PROFILE)) == {"quick_look"}
    assert codes(summarise(CELL, sound_blocks(2), PROFILE)) == {"few_blocks"}
    spread = [power_block(at, 2.0, latency_ns=(1_000_000 * (1 + at),) * 10) for at in range(6)]
    assert codes(summarise(CELL, spread, PROFILE)) == {"interval_wide"}


def test_two_blocks_have_values_without_intervals():
    result = summarise(CELL, sound_blocks(2), PROFILE)
    assert (result.latency_p50_ns.value, result.latency_p50_ns.low) == (1e6, None)
    assert (result.energy_gross_j.value, result.energy_gross_j.expanded) == (pytest.approx(0.2), None)


def test_what_the_device_does_not_tell_is_none_with_a_flag():
    bare = {"memory_bytes": (), "state_before": HostState(), "state_after": HostState(), "cpu_ns": None,
            "load_ns": None, "first_inference_ns": None}
    result = summarise(CELL, sound_blocks(**bare), PROFILE)
    assert (result.memory_kind, result.memory_peak_bytes, result.memory_delta_bytes) == (None, None, None)
    assert (result.temperature_max_c, result.cpu_per_inference_ns, result.load_ns) == (None, None, None)
    assert codes(result) == {"memory_unknown", "temperature_unknown", "frequency_unknown"}
    assert result.verdict is Verdict.VALID


windows_changes = st.fixed_dictionaries({}, optional={
    "error": st.sampled_from([None, "worker_died: 9", "corrupt: x"]),
    "flags": st.lists(st.builds(Flag, code=st.sampled_from(sorted(FLAG_CODES)), severity=st.sampled_from(Severity),
                                detail=st.text(max_size=20)), max_size=2).map(tuple),
    "latency_ns": st.lists(st.integers(0, 10**10), max_size=5).map(tuple),
    "marks": st.just(()),
    "memory_bytes": st.just(()),
    "cpu_ns": st.none() | st.integers(0, 10**12),
    "state_after": st.just(HostState()),
    "traces": st.lists(st.builds(
        constant_power, st.floats(-10, 100), kind=st.sampled_from(["sample", "interval_mean"]),
        errors=st.sets(st.integers(0, 50)).map(lambda found: tuple((at, 5) for at in sorted(found))),
        rail=st.sampled_from(["VDD_IN", "other"]), dropped=st.integers(0, 3)), max_size=3).map(tuple),
})


@hypothesis_settings(max_examples=200)
@given(st.lists(windows_changes, max_size=6), st.sampled_from(Origin))
def test_any_mix_of_windows_gives_a_result_whose_flags_explain_it(changes, origin):
    blocks = [power_block(number, 2.0, **change) for number, change in enumerate(changes)]
    result = summarise(CELL, blocks, samples.profile(origin=origin))
    assert result.verdict is verdict_of(result.flags)
    assert codes(result) <= set(FLAG_CODES)
    assert len(result.flags) == len({flag.code for flag in result.flags})
    assert (result.latency_p50_ns is None) == (result.n_blocks == 0)
    if result.n_blocks == 0:
        assert result.verdict is Verdict.VOID
    if result.energy_gross_j is None:
        assert (result.power_scope, result.power_origin, result.mean_power_w) == (None, None, None)
        assert codes(result) & {*ABSENT_POWER, "energy_gap", "counter_reset"} or result.verdict is Verdict.VOID
    else:
        assert result.energy_gross_j.value > 0
        assert result.power_origin is origin
    assert result.energy_net_j is not None or result.energy_gross_j is None or "idle_unknown" in codes(result)
