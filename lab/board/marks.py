"""Pieces that the charts share: scales, point marks and legends."""

from __future__ import annotations

from collections.abc import Collection

import altair as alt
import pandas as pd

from .theme import NEUTRAL_COLOUR, PALETTE

LEGEND_ROW_PX = 24

DESCRIBED_POINTS = 12
"""How many points the text for screen readers spells out."""

HAS_INTERVAL = "isValid(datum.low_x) && isValid(datum.high_x)"
"""Vega expression: this line's 95 % interval is known."""


def too_many_colours(points: pd.DataFrame) -> bool:
    """Whether colours repeat, so that a legend would mislead (the baseline has a grey of its own)."""
    return int(points["technique"].nunique()) > len(PALETTE) + 1


def technique_colour(points: pd.DataFrame, *, legend: bool) -> alt.Color:
    """The technique's own colour, with a legend unless colours repeat."""
    colours = dict(zip(points["technique"], points["colour"], strict=True))
    scale = alt.Scale(domain=list(colours), range=list(colours.values()))
    if not legend or too_many_colours(points):
        return alt.Color("technique:N", scale=scale, legend=None)
    return alt.Color("technique:N", scale=scale, legend=alt.Legend(
        orient="bottom", columns=_columns(colours), labelLimit=180, symbolType="circle", symbolOpacity=1, title=None))


def device_shape(points: pd.DataFrame) -> alt.Shape:
    """The device's own shape, with a legend where there is more than one device."""
    shapes = dict(zip(points["device"], points["shape"], strict=True))
    scale = alt.Scale(domain=list(shapes), range=list(shapes.values()))
    if len(shapes) == 1:
        return alt.Shape("device:N", scale=scale, legend=None)
    return alt.Shape("device:N", scale=scale, legend=alt.Legend(
        orient="bottom", columns=_columns(shapes), labelLimit=320, title=None, symbolFillColor=NEUTRAL_COLOUR,
        symbolStrokeColor=NEUTRAL_COLOUR))


def legend_height_px(points: pd.DataFrame, *, colours: bool) -> int:
    """Room the legends below a chart take, so that the plot itself keeps its height."""
    techniques = points["technique"].unique() if colours and not too_many_colours(points) else []
    devices = points["device"].unique()
    rows = -(-len(techniques) // _columns(techniques)) if len(techniques) else 0
    rows = max(rows, -(-len(devices) // _columns(devices)) if len(devices) > 1 else 0)
    return LEGEND_ROW_PX * rows


def _columns(names: Collection[str]) -> int:
    """Long names get a line of their own."""
    longest = max(map(len, names))
    return 1 if longest > 28 else 2 if longest > 16 else 3


def point_marks(base: alt.Chart) -> tuple[alt.Chart, alt.Chart]:
    """Solid points where nothing speaks against the numbers, hollow ones where a flag does."""
    solid = base.transform_filter("datum.solid").mark_point(filled=True, size=130, opacity=0.95)
    hollow = base.transform_filter("!datum.solid").mark_point(filled=False, fill="transparent", size=120,
                                                              strokeWidth=2.2)
    return solid, hollow


def interval_marks(base: alt.Chart) -> alt.Chart:
    """Lines from `low_x` to `high_x`, where they are known."""
    lines: alt.Chart = base.transform_filter(HAS_INTERVAL).mark_rule(strokeWidth=2, opacity=0.7)
    return lines


def description(title: str, said: list[str], points: pd.DataFrame) -> str:
    """The text for screen readers: the title, what is said of the first points, how many more there are."""
    more = len(points) - len(said)
    return f"{title}. " + "; ".join(said) + (f"; and {more} more." if more > 0 else ".")
