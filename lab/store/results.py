"""Results and comparisons, each version kept, the latest one read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import fields
from enum import Enum
from typing import Any, get_type_hints

from lab.domain.block import Cell
from lab.domain.flags import Flag
from lab.domain.result import Comparison, Result
from lab.errors import StoreError

from .codec import from_text, to_text
from .connection import Connection, Row, utc_now

_SCALAR_HINTS = (str, int, float, str | None, int | None, float | None)
_HINTS = get_type_hints(Result)


class ResultRecords(Connection):
    """What analysis said about cells; nothing is overwritten, a new result comes after the old one."""

    def save_result(self, result: Result) -> None:
        """Keep a result of its cell; raises StoreError if no campaign has that cell."""
        record = {field.name: _column(getattr(result, field.name)) for field in fields(Result)}
        with self._transaction():
            self._insert("results", {**record, "created_utc": utc_now()})

    def result(self, cell_id: str) -> Result | None:
        """The latest result of a cell, or None."""
        row = self._row("SELECT * FROM results WHERE cell_id = ? ORDER BY id DESC LIMIT 1", (cell_id,))
        return None if row is None else result_of(row)

    def save_comparisons(self, campaign_id: str, comparisons: Sequence[Comparison]) -> None:
        """Keep comparisons of a campaign's cells to its baselines, all or none.

        Raises StoreError unless both cells are the campaign's, on one device, under one setting.
        """
        with self._transaction():
            for comparison in comparisons:
                self._check_pair(campaign_id, comparison)
                self._insert("comparisons", {
                    "campaign_id": campaign_id, "cell_id": comparison.cell_id,
                    "baseline_cell_id": comparison.baseline_cell_id, "metric": comparison.metric,
                    "ratio": None if math.isnan(comparison.ratio) else comparison.ratio,
                    "low_ratio": comparison.low_ratio,
                    "high_ratio": comparison.high_ratio, "n_blocks": comparison.n_blocks,
                    "answer": comparison.answer, "subject": comparison.subject,
                    "n_devices": comparison.n_devices, "flags": to_text(comparison.flags),
                    "created_utc": utc_now()})

    def _check_pair(self, campaign_id: str, comparison: Comparison) -> None:
        pair = [self._cell_of(campaign_id, cell_id) for cell_id in (comparison.cell_id, comparison.baseline_cell_id)]
        if (pair[0].device, pair[0].settings) != (pair[1].device, pair[1].settings):
            raise StoreError(f"cell {comparison.cell_id} on {pair[0].device} and its baseline on {pair[1].device} "
                             "differ in device or settings: only cells measured alike are compared")

    def _cell_of(self, campaign_id: str, cell_id: str) -> Cell:
        row = self._row("SELECT definition FROM campaign_cells WHERE campaign_id = ? AND cell_id = ?",
                        (campaign_id, cell_id))
        if row is None:
            raise StoreError(f"a comparison names cell {cell_id}, which campaign {campaign_id} does not have")
        return from_text(Cell, row["definition"])


def result_of(row: Row) -> Result:
    """A result from its line in the database."""
    values: dict[str, Any] = {name: _value(hint, row[name]) for name, hint in _HINTS.items()}
    return Result(**values)


def comparison_of(row: Row) -> Comparison:
    """A comparison from its line in the database; a ratio that is not known is NaN."""
    values = {field.name: row[field.name] for field in fields(Comparison)}
    ratio = math.nan if row["ratio"] is None else row["ratio"]
    return Comparison(**{**values, "ratio": ratio, "flags": from_text(tuple[Flag, ...], row["flags"])})


def _column(value: object) -> object:
    """Scalars as they are, enums by their text, everything else as JSON."""
    if isinstance(value, Enum):
        return value.value
    return value if value is None or isinstance(value, (str, int, float)) else to_text(value)


def _value(hint: object, stored: object) -> object:
    if stored is None or hint in _SCALAR_HINTS:
        return stored
    text = str(stored)
    return from_text(hint, text if text[:1] in "[{" else to_text(text))
