"""Scales follow the frame's own colours and shapes; legends get the room they need."""

import altair as alt

from lab.board import marks
from lab.board.frame import results_frame
from tests.support.board_fixture import example_rows, result_row

FRAME = results_frame(example_rows())


def test_colour_scale_pairs_each_technique_with_its_colour():
    scale = marks.technique_colour(FRAME, legend=True).to_dict()["scale"]

    assert dict(zip(scale["domain"], scale["range"], strict=True)) == dict(
        zip(FRAME["technique"], FRAME["colour"], strict=True))


def test_a_subset_keeps_its_colours_and_shapes():
    part = FRAME[FRAME["device"] == "orin-nano"].tail(2)

    assert marks.technique_colour(part, legend=False).to_dict()["scale"]["range"] == list(part["colour"])
    assert marks.device_shape(part).to_dict()["scale"]["range"] == ["triangle-up"]


def test_a_legend_that_is_not_wanted_is_absent():
    assert marks.technique_colour(FRAME, legend=False).to_dict()["legend"] is None


def test_colours_repeat_after_the_palette_and_the_baselines_grey():
    assert not marks.too_many_colours(results_frame([result_row(f"t{place}") for place in range(8)]))
    assert marks.too_many_colours(results_frame([result_row(f"t{place}") for place in range(9)]))


def test_longer_names_and_more_of_them_need_more_room():
    few = results_frame([result_row("a"), result_row("b")])
    long = results_frame([result_row("a" * 40), result_row("b" * 40), result_row("c" * 40)])

    assert marks.legend_height_px(few, colours=True) == marks.LEGEND_ROW_PX
    assert marks.legend_height_px(long, colours=True) == 3 * marks.LEGEND_ROW_PX
    assert marks.legend_height_px(few, colours=False) == 0


def test_solid_and_hollow_marks_split_the_points_between_them():
    solid, hollow = (layer.to_dict() for layer in marks.point_marks(alt.Chart(FRAME)))

    assert solid["transform"][0]["filter"] == "datum.solid"
    assert hollow["transform"][0]["filter"] == "!datum.solid"
