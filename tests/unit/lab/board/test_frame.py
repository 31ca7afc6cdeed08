"""The charts' frame holds the rows' own numbers, names and reasons."""

import math
from dataclasses import replace

import pytest

from lab.board import figures
from lab.board.frame import flag_words, results_frame, technique_labels
from lab.board.theme import BASELINE_COLOUR, PALETTE, SHAPES
from lab.domain.flags import FLAG_CODES, Severity
from lab.domain.metrics import METRICS
from tests.support.board_fixture import HOSTILE_NAME, example_rows, flag, hostile_rows, result, result_row

ROWS = example_rows()
FRAME = results_frame(ROWS)


def lines():
    return zip(ROWS, FRAME.to_dict("records"), strict=True)


@pytest.mark.parametrize("key", METRICS)
def test_every_metric_keeps_its_stored_value_and_unit(key):
    for row, line in lines():
        expected = figures.figure(row, key)
        assert math.isnan(line[key]) if expected is None else line[key] == expected


@pytest.mark.parametrize("key", METRICS)
def test_every_metric_has_a_text_with_its_unit_for_the_tooltip(key):
    for row, line in lines():
        assert line[f"text_{key}"].startswith(f"{figures.show(row, key)} {METRICS[key].unit}")


def test_interval_ends_stand_beside_their_value():
    measured = FRAME.dropna(subset=["latency_p50_ns"])

    assert (measured["low_latency_p50_ns"] < measured["latency_p50_ns"]).all()
    assert (measured["high_latency_p50_ns"] > measured["latency_p50_ns"]).all()


def test_ratios_are_the_comparisons_own():
    for row, line in lines():
        if row.energy_ratio is None:
            assert math.isnan(line["energy_ratio"])
            assert line["energy_answer"] == ""
        else:
            assert (line["energy_ratio"], line["low_energy_ratio"], line["high_energy_ratio"]) == (
                row.energy_ratio.ratio, row.energy_ratio.low_ratio, row.energy_ratio.high_ratio)


def test_only_results_without_anything_against_them_are_solid():
    for row, line in lines():
        assert line["solid"] == (row.result is not None and row.result.verdict == "valid")
    assert 0 < FRAME["solid"].sum() < len(FRAME)


def test_the_reason_of_a_flagged_point_says_what_it_means_and_what_was_seen():
    line = next(line for row, line in lines() if row.result and row.result.verdict == "degraded")

    assert FLAG_CODES["throttled"] in line["reason"]
    assert "1.51 to 1.19 GHz" in line["reason"]


def test_a_row_without_flags_says_so():
    assert flag_words(result_row()) == "none"


def test_a_flag_nobody_knows_is_shown_by_its_code():
    row = result_row(result=result(flags=[flag("brand_new", Severity.DEGRADED, "details")]))

    assert flag_words(row) == "degraded: brand new details"


def test_a_technique_has_one_colour_and_the_baseline_the_neutral_one():
    colours = FRAME.groupby("technique")["colour"].unique().map(list).to_dict()

    assert all(len(found) == 1 for found in colours.values())
    assert colours.pop("baseline") == [BASELINE_COLOUR]
    assert len({found[0] for found in colours.values()}) == len(colours)
    assert {found[0] for found in colours.values()} <= set(PALETTE)


def test_a_device_has_one_shape():
    assert FRAME.groupby("device")["shape"].nunique().max() == 1
    assert list(FRAME.drop_duplicates("device")["shape"]) == list(SHAPES[:3])


def test_seeds_are_named_only_where_a_technique_has_several():
    rows = [result_row("float16"), result_row("int8 static", seed=1), result_row("int8 static", seed=2)]

    assert technique_labels(rows) == ["float16", "int8 static, seed 1", "int8 static, seed 2"]


def test_names_are_cleaned_and_cut():
    frame = results_frame(hostile_rows())

    assert not frame["device"].str.contains("\x1b").any()
    assert HOSTILE_NAME.split("\x1b")[0] in frame["device"].iloc[0]
    assert frame["technique"].str.len().max() <= 120


def test_no_rows_give_an_empty_frame():
    assert results_frame([]).empty


def test_an_unmeasured_row_has_no_figures_and_is_not_solid():
    frame = results_frame([replace(result_row(), result=None, state="pending")])

    assert not frame["solid"].iloc[0]
    assert frame["verdict"].iloc[0] == "not measured"
    assert frame["latency_p50_ns"].iloc[0] is None
