"""Results as tidy CSV: one metric a row, in SI units at full precision."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

from lab.domain.result import ResultRow

from .figures import Figure, figures_of

COLUMNS = ("campaign", "technique", "device", "seed", "settings", "metric", "value", "unit", "low", "high", "scope",
           "origin", "verdict", "flags")


def rows_to_csv(rows: Iterable[ResultRow]) -> str:
    """CSV text with a header line.

    An absent value is an empty field, and the flags say why. `low` and `high` end the 95 % interval. `verdict` is
    that of the result; a cell without one shows its state (`pending`, `failed`) there. Flags are codes with their
    severity, separated by spaces.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerows(_line(row, figure) for figure in figures_of(row))
    return text.getvalue()


def _line(row: ResultRow, figure: Figure) -> tuple[object, ...]:
    comparison = {"latency_ratio": row.latency_ratio, "energy_ratio": row.energy_ratio}.get(figure.key)
    flags = (*(row.result.flags if row.result else ()), *(comparison.flags if comparison else ()))
    codes = dict.fromkeys(f"{flag.code}:{flag.severity}" for flag in flags)
    return (_text(row.campaign), _text(row.technique), _text(row.device), row.seed, _text(row.settings), figure.key,
            _number(figure.value), figure.unit, _number(figure.low), _number(figure.high), figure.scope or "",
            figure.origin or "", row.result.verdict if row.result else row.state, " ".join(codes))


def _number(value: float | None) -> str:
    return "" if value is None else repr(value)


def _text(text: str) -> str:
    """A name that a spreadsheet would run as a formula gets an apostrophe, which spreadsheets hide."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
