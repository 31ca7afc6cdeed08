"""Turns result rows into the one DataFrame the charts draw from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import pandas as pd

from lab.domain.flags import FLAG_CODES, Verdict
from lab.domain.metrics import METRICS
from lab.domain.result import Comparison, ResultRow

from .figures import Compared, baseline_ids, bounds, comparison, figure, flags_of, power_scope, show, show_bounds
from .theme import BASELINE_COLOUR, PALETTE, SHAPES
from .words import clean

RATIO_NAMES: dict[Compared, str] = {"latency_p50_ns": "latency", "energy_gross_j": "energy"}
"""Prefix of the ratio columns of each compared metric."""

FLAG_TEXT_LIMIT = 300


def results_frame(rows: Sequence[ResultRow]) -> pd.DataFrame:
    """One line per row, in the order given.

    Per metric key: `KEY` (stored unit, NaN where absent), `low_KEY`, `high_KEY` (95 % interval) and `text_KEY` for
    people. Per comparison: `NAME_ratio`, `low_NAME_ratio`, `high_NAME_ratio`, `NAME_answer`. Identity: `technique`,
    `device`, `settings`, `power` (scope and origin), `colour` of the technique and `shape` of the device (the same
    in every chart), `solid` (nothing speaks against the numbers) and `reason` (the flags in words).
    """
    labels = technique_labels(rows)
    colours, shapes = _colours(rows, labels), _shapes(rows)
    return pd.DataFrame([_record(row, label) | {"colour": colours[label], "shape": shapes[row.device]}
                         for row, label in zip(rows, labels, strict=True)])


def _colours(rows: Sequence[ResultRow], labels: Sequence[str]) -> dict[str, str]:
    baselines = baseline_ids(rows)
    grey = {label for row, label in zip(rows, labels, strict=True)
            if row.result is not None and row.result.cell_id in baselines}
    others = [label for label in dict.fromkeys(labels) if label not in grey]
    return (dict.fromkeys(grey, BASELINE_COLOUR)
            | {label: PALETTE[index % len(PALETTE)] for index, label in enumerate(others)})


def _shapes(rows: Sequence[ResultRow]) -> dict[str, str]:
    devices = dict.fromkeys(row.device for row in rows)
    return {device: SHAPES[index % len(SHAPES)] for index, device in enumerate(devices)}


def technique_labels(rows: Sequence[ResultRow]) -> list[str]:
    """The technique's name, with the seed only where one technique was made with several."""
    seeds: defaultdict[str, set[int]] = defaultdict(set)
    for row in rows:
        seeds[row.technique].add(row.seed)
    return [f"{clean(row.technique)}, seed {row.seed}" if len(seeds[row.technique]) > 1 else clean(row.technique)
            for row in rows]


def flag_words(row: ResultRow) -> str:
    """The row's flags as one line: what each means, and what was seen."""
    parts = []
    for flag in flags_of(row):
        meaning = FLAG_CODES.get(flag.code, clean(flag.code).replace("_", " "))
        detail = clean(flag.detail, FLAG_TEXT_LIMIT)
        parts.append(f"{flag.severity}: {meaning}" + (f" {detail}" if detail and detail != meaning else ""))
    return clean(" · ".join(parts), FLAG_TEXT_LIMIT) or "none"


def _record(row: ResultRow, label: str) -> dict[str, object]:
    result = row.result
    record: dict[str, object] = {
        "technique": label, "device": clean(row.device), "settings": clean(row.settings),
        "power": power_scope(row),
        "solid": result is not None and result.verdict is Verdict.VALID,
        "verdict": str(result.verdict) if result else "not measured",
        "reason": flag_words(row),
    }
    for key, metric in METRICS.items():
        ends = bounds(row, key)
        interval = show_bounds(row, key)
        record[key] = figure(row, key)
        record[f"low_{key}"], record[f"high_{key}"] = ends or (None, None)
        record[f"text_{key}"] = f"{show(row, key)} {metric.unit}" + (f" (95 %: {interval})" if interval else "")
    for compared, name in RATIO_NAMES.items():
        record |= _ratios(comparison(row, compared), name)
    return record


def _ratios(compared: Comparison | None, name: str) -> dict[str, object]:
    return {
        f"{name}_ratio": compared.ratio if compared else None,
        f"low_{name}_ratio": compared.low_ratio if compared else None,
        f"high_{name}_ratio": compared.high_ratio if compared else None,
        f"{name}_answer": compared.answer if compared else "",
    }
