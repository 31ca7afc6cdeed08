"""Charts say units, scope and origin on their axes, and draw flagged points hollow."""

import altair as alt
import pytest

from lab.board import charts
from lab.board.frame import results_frame
from lab.domain.metrics import METRICS
from lab.errors import MeasurementInvalid
from tests.support.board_fixture import example_rows, result, result_row

FRAME = results_frame(example_rows())
NANO = FRAME[FRAME["device"] == "orin-nano"]  # one scope, so that its energy may be drawn
COSTS = ["latency_p50_ns", "size_bytes", "energy_gross_j"]


def layers(chart):
    return chart.to_dict(validate=True)["layer"]


def points_of(chart):
    """The two layers of points: solid first, hollow second."""
    return [layer for layer in layers(chart) if layer["mark"]["type"] == "point"]


def drawn(chart):
    """The lines a chart draws, as Altair carries them."""
    content = chart.to_dict()
    return next(data for data in content["datasets"].values() if "technique" in data[0])


def title_of(chart, axis):
    title = points_of(chart)[0]["encoding"][axis]["title"]
    return " ".join(title) if isinstance(title, list) else title


@pytest.mark.parametrize("key", COSTS)
def test_every_axis_carries_label_and_unit(key):
    chart = charts.scatter(NANO, key)

    assert METRICS[key].label in title_of(chart, "x")
    assert f", {METRICS[key].unit}" in title_of(chart, "x")
    assert "lower is better" in title_of(chart, "x")
    assert "Accuracy, %" in title_of(chart, "y")


@pytest.mark.parametrize("key", COSTS)
def test_figures_are_drawn_in_the_unit_the_axis_names(key):
    found = drawn(charts.scatter(NANO, key))

    assert found
    for line in found:
        assert line["x"] == pytest.approx(line[key] * METRICS[key].display_scale)
        assert line["y"] == pytest.approx(line["accuracy_ratio"] * 100)


def test_flagged_points_are_hollow_and_tell_their_reason():
    solid, hollow = points_of(charts.scatter(FRAME, "latency_p50_ns"))

    assert (solid["mark"]["filled"], solid["transform"]) == (True, [{"filter": "datum.solid"}])
    assert (hollow["mark"]["filled"], hollow["transform"]) == (False, [{"filter": "!datum.solid"}])
    for layer in (solid, hollow):
        assert {"field": "reason", "title": "Flags", "type": "nominal"} in layer["encoding"]["tooltip"]


def test_intervals_are_drawn_only_where_both_ends_are_known():
    rule = next(layer for layer in layers(charts.scatter(FRAME, "latency_p50_ns")) if layer["mark"]["type"] == "rule")

    assert "isValid(datum.low_x) && isValid(datum.high_x)" in rule["transform"][0]["filter"]
    assert (rule["encoding"]["x"]["field"], rule["encoding"]["x2"]["field"]) == ("low_x", "high_x")


def test_unlike_power_never_shares_an_axis():
    groups = charts.energy_groups(FRAME)

    assert [power for power, _ in groups] == ["module power, SIMULATED", "board dc power, measured"]
    for power, group in groups:
        chart = charts.scatter(group, "energy_gross_j")
        assert {line["power"] for line in drawn(chart)} == {power}


def test_a_frame_of_unlike_power_is_refused_with_what_to_do():
    with pytest.raises(MeasurementInvalid, match=r"SIMULATED and board dc power, measured cannot share.*energy_groups"):
        charts.scatter(FRAME, "energy_gross_j")


def test_simulated_power_is_named_on_the_axis_in_the_tooltip_and_in_the_description():
    _, group = charts.energy_groups(FRAME)[0]
    chart = charts.scatter(group, "energy_gross_j")

    assert "SIMULATED" in title_of(chart, "x")
    assert any(each["field"] == "power" for each in points_of(chart)[0]["encoding"]["tooltip"])
    assert "SIMULATED" in chart.to_dict()["description"]


def test_without_any_power_there_is_no_energy_group():
    frame = results_frame([result_row(result=result(energy_j=None))])

    assert charts.energy_groups(frame) == []
    assert charts.energy_groups(results_frame([])) == []


def test_lines_without_one_of_the_figures_are_not_drawn():
    frame = results_frame([result_row(), result_row("float16", accuracy_ratio=None)])

    assert list(charts.drawable(frame, "latency_p50_ns")["technique"]) == ["baseline"]


def test_size_and_accuracy_are_one_point_per_technique_whatever_the_devices():
    found = drawn(charts.scatter(FRAME, "size_bytes"))

    assert sorted(line["technique"] for line in found) == sorted(set(FRAME["technique"]))
    assert {line["device"] for line in found} == {"on every device"}
    assert next(line for line in found if line["technique"] == "float16")["solid"]


@pytest.mark.parametrize(("span", "scale"), [(2.0, "linear"), (50.0, "log")])
def test_a_wide_spread_is_drawn_on_a_log_axis_that_says_so(span, scale):
    rows = [result_row(result=result(latency_ns=1e5)), result_row("float16", result=result(latency_ns=1e5 * span))]
    chart = charts.scatter(results_frame(rows), "latency_p50_ns")

    assert points_of(chart)[0]["encoding"]["x"]["scale"]["type"] == scale
    assert ("log scale" in title_of(chart, "x")) == (scale == "log")


def test_a_single_device_needs_no_legend_of_devices():
    chart = charts.scatter(NANO, "latency_p50_ns")

    assert points_of(chart)[0]["encoding"]["shape"]["legend"] is None


@pytest.mark.parametrize(("count", "labels"), [(8, False), (9, True), (40, False)])
def test_names_replace_the_legend_where_colours_would_repeat(count, labels):
    chart = charts.scatter(results_frame([result_row(f"technique {place}") for place in range(count)]),
                           "latency_p50_ns")

    assert any(layer["mark"]["type"] == "text" for layer in layers(chart)) == labels
    assert (points_of(chart)[0]["encoding"]["color"]["legend"] is None) == (count > 8)


def test_a_chart_tells_its_points_to_a_screen_reader():
    description = charts.scatter(FRAME, "latency_p50_ns").to_dict()["description"]

    assert description.startswith("Accuracy against Latency p50. baseline on workstation: 0.118 ms")
    assert description.endswith("and 5 more.")


def test_charts_are_altair_objects_that_validate():
    for key in COSTS:
        chart = charts.scatter(NANO, key)
        assert isinstance(chart, alt.LayerChart)
        assert chart.to_dict(validate=True)["$schema"].startswith("https://vega.github.io/schema/vega-lite/")
