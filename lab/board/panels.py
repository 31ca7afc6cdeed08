"""Groups of charts with their headings, and a sentence in the place of every chart that cannot be drawn."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from lab.domain.metrics import METRICS
from lab.domain.result import ResultRow

from . import charts, ratio_chart
from .figures import Compared, absent_reason, figure
from .frame import RATIO_NAMES

READING = ("Solid: nothing speaks against the number. Hollow: flagged, and the tooltip says why. "
           "Lines through points are 95 % intervals.")
UNLIKE_POWER = ("Power on these devices covers different parts of the machine or came to be in different ways, so "
                "each kind has an axis of its own. Ratios to each device's own baseline may be compared.")


def ratio_panel(frame: pd.DataFrame, rows: Sequence[ResultRow]) -> None:
    """How much each technique changes latency and energy, device by device."""
    st.subheader("Change against the baseline")
    keys: tuple[Compared, ...] = ("latency_p50_ns", "energy_gross_j")
    for column, key in zip(st.columns(2), keys, strict=True):
        with column:
            if frame[f"{RATIO_NAMES[key]}_ratio"].notna().any():
                st.altair_chart(ratio_chart.ratios(frame, key))
            else:
                st.caption(f"No ratio of {METRICS[key].label.lower()} to draw: {_why_no_ratio(rows, key)}.")
    st.caption("Where a line crosses ×1, the technique is not distinguishable from the baseline.")


def trade_off_panel(frame: pd.DataFrame, rows: Sequence[ResultRow]) -> None:
    """What accuracy costs in latency, size and energy."""
    st.subheader("Accuracy against cost")
    st.caption(READING)
    for column, key in zip(st.columns(2), ("latency_p50_ns", "size_bytes"), strict=True):
        with column:
            _draw(frame, key, rows)
    groups = charts.energy_groups(frame)
    if len(groups) > 1:
        st.caption(UNLIKE_POWER)
    if not groups:
        _draw(frame, "energy_gross_j", rows)
    for place in range(0, len(groups), 2):
        for column, (_, group) in zip(st.columns(2), groups[place:place + 2], strict=False):
            with column:
                _draw(group, "energy_gross_j", rows)


def _draw(frame: pd.DataFrame, key: str, rows: Sequence[ResultRow]) -> None:
    if charts.drawable(frame, key).empty:
        st.caption(f"{METRICS[key].label} cannot be drawn: {_why_not_drawn(rows, key)}.")
    else:
        st.altair_chart(charts.scatter(frame, key))


def _why_not_drawn(rows: Sequence[ResultRow], key: str) -> str:
    return _reasons(rows, key if all(figure(row, key) is None for row in rows) else "accuracy_ratio")


def _why_no_ratio(rows: Sequence[ResultRow], key: Compared) -> str:
    if all(figure(row, key) is None for row in rows):
        return _reasons(rows, key)
    return "no technique shares a block with its baseline yet"


def _reasons(rows: Sequence[ResultRow], key: str) -> str:
    return ", ".join(dict.fromkeys(absent_reason(row, key) for row in rows if figure(row, key) is None))
