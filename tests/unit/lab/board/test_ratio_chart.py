"""Ratios of all devices share one axis, each to its own baseline, with the scope of power named."""

import pytest

from lab.board.frame import results_frame
from lab.board.ratio_chart import ratios
from tests.support.board_fixture import comparison, example_rows, result_row

FRAME = results_frame(example_rows())


def points_of(chart):
    return [layer for layer in chart.to_dict(validate=True)["layer"] if layer["mark"]["type"] == "point"]


def drawn(chart):
    return next(data for data in chart.to_dict()["datasets"].values() if "technique" in data[0])


@pytest.mark.parametrize(("key", "devices"), [
    ("latency_p50_ns", {"workstation", "virtual-pi4", "orin-nano"}),
    ("energy_gross_j", {"virtual-pi4 (module power, SIMULATED)", "orin-nano (board dc power, measured)"})])
def test_ratios_of_all_devices_stand_side_by_side_with_the_scope_named(key, devices):
    found = drawn(ratios(FRAME, key))

    assert {line["device"] for line in found} == devices
    assert "baseline" not in {line["technique"] for line in found}


def test_ratios_say_whether_they_can_be_told_from_the_baseline():
    found = drawn(ratios(FRAME, "latency_p50_ns"))
    line = next(line for line in found if (line["technique"], line["device"]) == ("int8 dynamic", "orin-nano"))

    assert line["answer"] == "not distinguishable"
    assert line["ratio_text"] == "×0.991 (95 %: ×0.97 – ×1.01)"


def test_a_ratio_without_an_interval_says_so():
    unknown = comparison("float16", "orin-nano", "latency_p50_ns", 0.7, low_ratio=None, high_ratio=None,
                         answer="unknown", n_blocks=2)
    found = drawn(ratios(results_frame([result_row("float16", latency_ratio=unknown)]), "latency_p50_ns"))

    assert [line["ratio_text"] for line in found] == ["×0.7 (interval not known)"]


def test_the_ratio_axis_always_shows_no_change():
    rows = [result_row("float16", latency_ratio=comparison("float16", "orin-nano", "latency_p50_ns", 0.3))]
    domain = points_of(ratios(results_frame(rows), "latency_p50_ns"))[0]["encoding"]["x"]["scale"]["domain"]

    assert domain[0] < 0.3
    assert domain[1] > 1.0


def test_techniques_keep_the_campaigns_order_in_every_ratio_chart():
    orders = [points_of(ratios(FRAME, key))[0]["encoding"]["y"]["sort"]
              for key in ("latency_p50_ns", "energy_gross_j")]

    assert orders[0] == orders[1] == [name for name in dict.fromkeys(FRAME["technique"]) if name != "baseline"]


def test_a_flagged_ratio_is_hollow_and_tells_its_reason():
    solid, hollow = points_of(ratios(FRAME, "latency_p50_ns"))

    assert (solid["transform"], hollow["transform"]) == ([{"filter": "datum.solid"}], [{"filter": "!datum.solid"}])
    assert {"field": "reason", "title": "Flags", "type": "nominal"} in hollow["encoding"]["tooltip"]


def test_the_line_of_no_change_is_drawn():
    rule = ratios(FRAME, "latency_p50_ns").to_dict()["layer"][0]

    assert rule["mark"]["type"] == "rule"
    assert rule["encoding"]["x"]["field"] == "x"
    assert "ratio to baseline" in rule["encoding"]["x"]["title"]


def test_ratios_are_told_to_a_screen_reader():
    said = ratios(FRAME, "energy_gross_j").to_dict()["description"]

    assert "int8 dynamic on virtual-pi4 (module power, SIMULATED): ×0.812 (95 %: ×0.772 – ×0.853), better" in said
