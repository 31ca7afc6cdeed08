"""Draws how much each technique changes against its own device's baseline."""

from __future__ import annotations

import altair as alt
import pandas as pd

from lab.domain.metrics import METRICS, show_ratio

from .figures import POWER_KEYS, Compared
from .frame import RATIO_NAMES
from .marks import (
    DESCRIBED_POINTS,
    description,
    device_shape,
    interval_marks,
    legend_height_px,
    point_marks,
    technique_colour,
)
from .theme import BASELINE_COLOUR

HEIGHT_MAX_PX = 2400
TICKS = [0.01, 0.02, 0.05, 0.1, 0.15, *(step / 10 for step in range(2, 11)), 1.2, 1.5, 2, 3, 5, 10, 20, 50, 100]


def ratios(frame: pd.DataFrame, key: Compared) -> alt.LayerChart:
    """Ratio of each technique to its own device's baseline, with 95 % intervals; the line at 1 is no change."""
    points = _points(frame, key)
    compared = set(points["technique"])
    order = [name for name in dict.fromkeys(frame["technique"]) if name in compared]
    title = f"{METRICS[key].label}, ratio to baseline (lower is better)"
    across, along = (alt.X(f"{field}:Q", title=title, scale=_scale(points), axis=_axis())
                     for field in ("x", "low_x"))
    up = alt.Y("technique:N", title=None, sort=order,
               axis=alt.Axis(labelLimit=190, grid=True, labelOverlap=False, tickBand="extent"))
    aside = alt.YOffset("device:N", sort=list(dict.fromkeys(points["device"])), scale=alt.Scale(padding=0.6))
    colour = technique_colour(points, legend=False)
    base = alt.Chart(points)
    unchanged = alt.Chart(pd.DataFrame({"x": [1.0]})).mark_rule(
        strokeDash=[4, 4], strokeWidth=1.5, color=BASELINE_COLOUR).encode(x=across)
    intervals = interval_marks(base).encode(x=along, x2="high_x:Q", y=up, yOffset=aside, color=colour)
    layers = [marks.encode(x=across, y=up, yOffset=aside, color=colour, shape=device_shape(points),
                           tooltip=_tooltip()) for marks in point_marks(base)]
    bands_px = len(order) * max(30, 20 * frame["device"].nunique())
    height = 90 + min(bands_px, HEIGHT_MAX_PX) + legend_height_px(points, colours=False)
    return alt.LayerChart(layer=[unchanged, intervals, *layers], height=height,
                          description=_describe(points, title))


def _scale(points: pd.DataFrame) -> alt.Scale:
    ends = [1.0, *points[["x", "low_x", "high_x"]].stack().dropna()]
    return alt.Scale(type="log", domain=[min(ends) * 0.93, max(ends) * 1.07], nice=False)


def _axis() -> alt.Axis:
    return alt.Axis(values=TICKS, labelExpr="'×' + format(datum.value, '~g')", labelOverlap="parity")


def _points(frame: pd.DataFrame, key: Compared) -> pd.DataFrame:
    name = RATIO_NAMES[key]
    points = frame.dropna(subset=[f"{name}_ratio"])
    device = points["device"] + " (" + points["power"] + ")" if key in POWER_KEYS else points["device"]
    points = points.assign(
        device=device, answer=points[f"{name}_answer"], x=points[f"{name}_ratio"].astype(float),
        low_x=points[f"low_{name}_ratio"].astype(float), high_x=points[f"high_{name}_ratio"].astype(float))
    return points.assign(ratio_text=[_text(*ends) for ends in zip(
        points["x"], points["low_x"], points["high_x"], strict=True)])


def _tooltip() -> list[alt.Tooltip]:
    shown = {"technique": "Technique", "device": "Device", "ratio_text": "Ratio to baseline", "answer": "Answer",
             "verdict": "Verdict", "reason": "Flags"}
    return [alt.Tooltip(f"{field}:N", title=title) for field, title in shown.items()]


def _text(ratio: float, low: float, high: float) -> str:
    if pd.isna(low) or pd.isna(high):
        return f"{show_ratio(ratio)} (interval not known)"
    return f"{show_ratio(ratio)} (95 %: {show_ratio(low)} – {show_ratio(high)})"


def _describe(points: pd.DataFrame, title: str) -> str:
    said = [f"{line['technique']} on {line['device']}: {line['ratio_text']}, {line['answer']}"
            for line in points.head(DESCRIBED_POINTS).to_dict("records")]
    return description(title, said, points)
