"""The one table every benchmark prints: what was compared, with what, and whether the target was met."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Row:
    """One comparison; the figures are text because each carries its own unit. `note` says how or why not."""

    what: str
    ours: str
    reference: str
    ratio: str
    target: str
    met: bool
    note: str = ""


_COLUMNS = ("what", "ours", "reference", "ratio", "target", "met", "note")


def print_table(title: str, rows: Sequence[Row], as_json: bool) -> int:
    """Print the rows for people or as one JSON object; the exit code: 0 if there are rows and all met, else 1."""
    met = bool(rows) and all(row.met for row in rows)
    if as_json:
        print(json.dumps({"title": title, "met": met, "rows": [asdict(row) for row in rows]}, indent=2))
    else:
        print("\n".join(_lines(title, rows)))
    return 0 if met else 1


def _lines(title: str, rows: Sequence[Row]) -> list[str]:
    cells = [_COLUMNS, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(_COLUMNS))]
    body = ["  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
            for line in cells]
    return [title, body[0], "  ".join("-" * width for width in widths), *body[1:]]


def _cells(row: Row) -> tuple[str, ...]:
    return (row.what, row.ours, row.reference, row.ratio, row.target, "yes" if row.met else "NO", row.note)
