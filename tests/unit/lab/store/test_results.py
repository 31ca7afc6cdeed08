"""Results, comparisons and the rows that join everything."""

import dataclasses
import math

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from lab.domain.campaign import Load, Settings
from lab.domain.device import Origin, Scope
from lab.domain.flags import FLAG_CODES, Flag, Severity, Verdict
from lab.domain.result import Contribution, Interval, Quantity, Result
from lab.errors import NotFound, StoreError
from tests.support import samples

ID = "c0ffee0123456789"
BASELINE, INT8 = samples.cell().id, samples.cell(samples.INT8).id

numbers = st.floats(allow_nan=False)
wholes = st.integers(-2**63, 2**63 - 1)
intervals = st.builds(Interval, value=numbers, low=st.none() | numbers, high=st.none() | numbers)
quantities = st.builds(
    Quantity, value=numbers, standard_uncertainty=st.none() | numbers, coverage_factor=st.none() | numbers,
    degrees_of_freedom=st.none() | numbers,
    budget=st.lists(st.builds(Contribution, name=st.text(), kind=st.sampled_from(["A", "B"]),
                              standard_uncertainty=numbers, degrees_of_freedom=numbers), max_size=3).map(tuple))
flags = st.builds(Flag, code=st.sampled_from(sorted(FLAG_CODES)), severity=st.sampled_from(Severity),
                  detail=st.text(), touched_ns=st.none() | wholes)
results = st.builds(
    Result, cell_id=st.just(BASELINE), n_blocks=st.integers(0, 40), n_inferences=st.integers(0, 2**40),
    load=st.builds(Load, kind=st.sampled_from(["back_to_back", "paced"]), rate_hz=st.none() | numbers,
                   deadline_ns=st.none() | wholes),
    latency_p50_ns=st.none() | intervals, latency_p90_ns=st.none() | intervals, latency_p95_ns=st.none() | intervals,
    latency_p99_ns=st.none() | intervals, latency_max_ns=st.none() | wholes, throughput_hz=st.none() | numbers,
    load_ns=st.none() | wholes, first_inference_ns=st.none() | wholes, cpu_per_inference_ns=st.none() | numbers,
    memory_kind=st.none() | st.text(), memory_peak_bytes=st.none() | wholes, memory_delta_bytes=st.none() | wholes,
    deadline_misses=st.none() | wholes, idle_power_w=st.none() | numbers, mean_power_w=st.none() | numbers,
    energy_gross_j=st.none() | quantities, energy_net_j=st.none() | quantities,
    power_scope=st.none() | st.sampled_from(Scope), power_origin=st.none() | st.sampled_from(Origin),
    temperature_max_c=st.none() | numbers, flags=st.lists(flags, max_size=4).map(tuple),
    verdict=st.sampled_from(Verdict))


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(results)
def test_any_result_comes_back_exactly(filled, result):
    filled.save_result(result)
    restored = filled.result(BASELINE)
    assert restored == result
    assert filled.result_rows()[0].result == result
    assert all(type(getattr(restored, field.name)) is type(getattr(result, field.name))
               for field in dataclasses.fields(Result))


def test_the_view_shows_the_numbers_of_the_result(filled):
    quantity = Quantity(value=0.25, standard_uncertainty=0.01, coverage_factor=2.5, degrees_of_freedom=5.0)
    filled.save_result(samples.result(BASELINE, energy_gross_j=quantity, latency_max_ns=9))
    row = filled._rows("SELECT * FROM result_view")[0]
    assert (row["latency_p50_ns"], row["latency_p50_low_ns"], row["latency_p50_high_ns"]) == (1.5e6, 1.4e6, 1.6e6)
    assert (row["latency_p99_ns"], row["latency_p99_low_ns"], row["latency_max_ns"]) == (2e6, None, 9)
    assert (row["energy_gross_j"], row["energy_gross_standard_uncertainty_j"]) == (0.25, 0.01)
    assert (row["energy_net_j"], row["verdict"]) == (None, "valid")


def test_the_latest_result_counts_and_the_older_one_stays(filled):
    filled.save_result(samples.result(BASELINE, n_blocks=3))
    filled.save_result(samples.result(BASELINE, n_blocks=6))
    assert filled.result(BASELINE).n_blocks == 6
    assert len(filled._rows("SELECT id FROM results")) == 2


def test_a_cell_without_result_has_none(filled):
    assert filled.result(BASELINE) is None


def test_a_result_needs_a_known_cell(filled):
    with pytest.raises(StoreError, match="FOREIGN KEY"):
        filled.save_result(samples.result("f" * 64))


def test_a_number_too_large_for_the_database_is_a_store_error(filled):
    with pytest.raises(StoreError):
        filled.save_result(samples.result(BASELINE, latency_max_ns=2**70))
    assert filled.result(BASELINE) is None


def test_a_row_joins_all_that_is_known(filled):
    model = samples.compressed()
    filled.save_compressed(samples.WORKLOAD_SHA256, model, samples.INT8)
    filled.set_cell_artifact(INT8, model.artifact.sha256)
    filled.ingest_window(samples.recording(cell_id=INT8), campaign_id=ID, device="board", block_number=0)
    filled.save_result(samples.result(INT8))
    faster = samples.comparison(INT8, BASELINE, flags=(Flag(code="few_blocks", severity=Severity.INFO, detail="2"),))
    cheaper = samples.comparison(INT8, BASELINE, metric="energy_gross_j", ratio=0.8, answer="not distinguishable")
    filled.save_comparisons(ID, [faster, cheaper])
    filled.set_cell_state(ID, INT8, "done")
    row = filled.result_rows(campaign="first", device="board")[1]
    assert (row.campaign, row.technique, row.device, row.profile, row.seed) == ("first", "int8", "board",
                                                                                "test-board", 0)
    assert (row.settings, row.preset) == ("onnx_runtime, 1 thread, batch 1, back to back", "quick")
    assert (row.artifact_sha256, row.size_bytes, row.parameters, row.macs) == (model.artifact.sha256, 1000, 123, 456)
    assert (row.accuracy_ratio, row.metric, row.compress_ns) == (0.975, "accuracy", 5 * samples.S)
    assert row.result == samples.result(INT8)
    assert (row.latency_ratio, row.energy_ratio) == (faster, cheaper)
    assert (row.state, row.failure, row.measured_utc) == ("done", None, "2030-01-31T12:00:00Z")


def test_a_failed_cell_has_a_row_with_the_text(filled):
    filled.record_failure(ID, INT8, "board", "compress", "CompressionError", "step 1: no such layer")
    row = filled.result_rows()[1]
    assert (row.state, row.failure) == ("failed", "step 1: no such layer")
    assert (row.result, row.latency_ratio, row.size_bytes, row.measured_utc) == (None, None, None, None)


def test_the_latest_comparison_counts(filled):
    for ratio in (0.5, 0.6):
        filled.save_comparisons(ID, [samples.comparison(INT8, BASELINE, ratio=ratio)])
    assert filled.result_rows()[1].latency_ratio.ratio == 0.6


def test_a_ratio_that_is_not_known_gives_no_comparison(filled):
    filled.save_comparisons(ID, [samples.comparison(INT8, BASELINE, ratio=math.nan, low_ratio=None, high_ratio=None,
                                                    n_blocks=0, answer="unknown")])
    assert filled.result_rows()[1].latency_ratio is None
    assert filled._rows("SELECT ratio, answer FROM comparisons") == [{"ratio": None, "answer": "unknown"}]


def test_comparisons_are_saved_all_or_none(filled):
    with pytest.raises(StoreError, match="does not have"):
        filled.save_comparisons(ID, [samples.comparison(INT8, BASELINE), samples.comparison("f" * 64, BASELINE)])
    assert filled.result_rows()[1].latency_ratio is None


@pytest.mark.parametrize("change", [{"device": "other"}, {"settings": Settings(threads=2)}])
def test_cells_measured_otherwise_are_not_compared(filled, change):
    other = samples.cell(samples.INT8, **change)
    filled.save_cells(ID, [samples.cell(), other])
    with pytest.raises(StoreError, match="device or settings"):
        filled.save_comparisons(ID, [samples.comparison(other.id, BASELINE)])


def test_comparisons_of_another_campaign_do_not_show(filled):
    filled.save_comparisons(ID, [samples.comparison(INT8, BASELINE)])
    filled.save_campaign("other", samples.campaign(name="other"), samples.WORKLOAD_SHA256, "")
    filled.save_cells("other", [samples.cell(), samples.cell(samples.INT8)])
    assert [row.latency_ratio is None for row in filled.result_rows(campaign="other")] == [True, True]


def test_rows_come_in_campaign_order_with_each_baseline_first(filled):
    two = Settings(threads=2)
    plan = [samples.cell(samples.INT8), samples.cell(samples.INT8, settings=two), samples.cell(settings=two),
            samples.cell(), samples.cell(samples.INT8, device="other"), samples.cell(device="other")]
    filled.save_cells(ID, plan)
    assert [(row.device, row.settings.split(",")[1], row.technique) for row in filled.result_rows()] == [
        ("board", " 1 thread", "baseline"), ("board", " 1 thread", "int8"),
        ("board", " 2 threads", "baseline"), ("board", " 2 threads", "int8"),
        ("other", " 1 thread", "baseline"), ("other", " 1 thread", "int8")]


def test_rows_of_several_campaigns_come_oldest_first(filled):
    filled.save_campaign("0000", samples.campaign(name="second"), samples.WORKLOAD_SHA256, "")
    filled.save_cells("0000", [samples.cell()])
    assert [row.campaign for row in filled.result_rows()] == ["first", "first", "second"]
    assert [row.campaign for row in filled.result_rows(campaign="second")] == ["second"]


def test_rows_of_one_device(filled):
    filled.save_cells(ID, [samples.cell(), samples.cell(device="other")])
    assert [row.device for row in filled.result_rows(device="other")] == ["other"]
    assert filled.result_rows(device="nowhere") == ()


def test_rows_of_an_unknown_campaign_are_not_found(filled):
    with pytest.raises(NotFound):
        filled.result_rows(campaign="unknown")


def test_the_profile_is_told_after_the_device_is_removed(filled):
    filled.remove_device("board")
    assert filled.result_rows()[0].profile == "test-board"
