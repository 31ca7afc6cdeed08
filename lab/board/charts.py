"""Draws accuracy against cost: DataFrame in, Altair chart out; nothing here knows Streamlit.

A chart takes the frame of `frame.results_frame`. Hollow points carry a flag; its reason is in the tooltip.
Absolute energy of unlike scope or origin never shares an axis: `energy_groups` splits the frame first.
"""

from __future__ import annotations

import altair as alt
import pandas as pd

from lab.domain.metrics import METRICS
from lab.errors import MeasurementInvalid

from .figures import ARTIFACT_KEYS, POWER_KEYS
from .marks import (
    DESCRIBED_POINTS,
    description,
    device_shape,
    interval_marks,
    legend_height_px,
    point_marks,
    technique_colour,
    too_many_colours,
)
from .theme import NEUTRAL_COLOUR, SHAPES

PLOT_HEIGHT_PX = 320
LABELS_MAX = 24
"""More names than this beside points would cover each other; the tooltip still tells."""

LOG_SPAN_RATIO = 20.0
"""From this spread on, points on a linear axis would hide each other."""

NUMBERS = ".4~r"
"""Four significant digits at most, never an exponent."""


def drawable(frame: pd.DataFrame, x: str, y: str = "accuracy_ratio") -> pd.DataFrame:
    """The lines that have both figures."""
    return frame if frame.empty else frame.dropna(subset=[x, y])


def energy_groups(frame: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """(scope and origin in words, lines) for every kind of power figure present, in order of appearance."""
    points = drawable(frame, "energy_gross_j")
    return [] if points.empty else [(str(power), group) for power, group in points.groupby("power", sort=False)]


def scatter(frame: pd.DataFrame, x: str, y: str = "accuracy_ratio") -> alt.LayerChart:
    """Metric `y` against metric `x` with 95 % intervals; for power, scope and origin join the axis title.

    Raises MeasurementInvalid for power figures of more than one scope or origin.
    """
    points = _scaled(drawable(frame, x, y), x, y)
    note = _power_of(points) if x in POWER_KEYS else ""
    if {x, y} <= ARTIFACT_KEYS:
        points = _one_per_artifact(points)
    scale, is_log = _x_scale(points["x"])
    title = _axis_title(x, ", log scale" if is_log else "")
    across, along = (alt.X(f"{field}:Q", title=[title, note] if note else title, scale=scale,
                           axis=alt.Axis(tickCount=8, format=NUMBERS)) for field in ("x", "low_x"))
    up = alt.Y("y:Q", title=_axis_title(y), scale=alt.Scale(zero=False, padding=18),
               axis=alt.Axis(format=NUMBERS))
    base = alt.Chart(points)
    colour = technique_colour(points, legend=True)
    layers = [interval_marks(base).encode(x=along, x2="high_x:Q", y=up, color=colour)]
    layers += [marks.encode(x=across, y=up, color=colour, shape=device_shape(points), tooltip=_tooltip(x, y))
               for marks in point_marks(base)]
    if too_many_colours(points) and points["technique"].nunique() <= LABELS_MAX:
        layers.append(base.mark_text(align="left", dx=9, fontSize=10, limit=150, color=NEUTRAL_COLOUR).encode(
            x=across, y=up, text="technique:N"))
    return alt.LayerChart(layer=layers, height=PLOT_HEIGHT_PX + legend_height_px(points, colours=True),
                          description=_describe(points, x, y, note))


def _power_of(points: pd.DataFrame) -> str:
    kinds = list(dict.fromkeys(points["power"]))
    if len(kinds) > 1:
        raise MeasurementInvalid(f"power figures of {' and '.join(kinds)} cannot share an axis: expected one scope and "
                                 "origin; draw one chart per group of `energy_groups`")
    return str(kinds[0]) if kinds else ""


def _one_per_artifact(points: pd.DataFrame) -> pd.DataFrame:
    """Size and accuracy belong to the artifact, so that its lines on several devices are one point.

    The point is hollow only if every device has something against it: then it may be the artifact's fault.
    """
    same = ["technique", "x", "y"]
    solid = points.groupby(same)["solid"].transform("any").astype(bool)
    kept = points.assign(solid=solid, reason=points["reason"].where(~solid, "none")).drop_duplicates(same)
    return kept.assign(device="on every device", shape=SHAPES[0])


def _scaled(points: pd.DataFrame, x: str, y: str) -> pd.DataFrame:
    x_scale, y_scale = METRICS[x].display_scale, METRICS[y].display_scale
    columns = {"x": (x, x_scale), "low_x": (f"low_{x}", x_scale), "high_x": (f"high_{x}", x_scale),
               "y": (y, y_scale)}
    return points.assign(**{name: points[key].astype(float) * scale for name, (key, scale) in columns.items()})


def _x_scale(values: pd.Series) -> tuple[alt.Scale, bool]:
    is_log = bool(len(values)) and values.min() > 0 and values.max() / values.min() > LOG_SPAN_RATIO
    return alt.Scale(type="log" if is_log else "linear", zero=False, nice=not is_log, padding=18), is_log


def _axis_title(key: str, suffix: str = "") -> str:
    metric = METRICS[key]
    return f"{metric.label}, {metric.unit}{suffix} ({metric.better} is better)"


def _tooltip(x: str, y: str) -> list[alt.Tooltip]:
    shown = {"technique": "Technique", "device": "Device"}
    if not {x, y} <= ARTIFACT_KEYS:
        shown["settings"] = "Settings"
        shown["verdict"] = "Verdict"
    shown |= {f"text_{x}": METRICS[x].label, f"text_{y}": METRICS[y].label}
    if x in POWER_KEYS:
        shown["power"] = "Power"
    shown["reason"] = "Flags"
    return [alt.Tooltip(f"{field}:N", title=title) for field, title in shown.items()]


def _describe(points: pd.DataFrame, x: str, y: str, note: str) -> str:
    said = [f"{line['technique']} on {line['device']}: {line[f'text_{x}']}, {line[f'text_{y}']}"
            for line in points.head(DESCRIBED_POINTS).to_dict("records")]
    title = f"{METRICS[y].label} against {METRICS[x].label}" + (f" ({note})" if note else "")
    return description(title, said, points)
