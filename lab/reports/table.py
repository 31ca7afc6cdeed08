"""Result rows as a plain table of texts, for whatever draws tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lab.domain.device import Origin
from lab.domain.flags import Severity
from lab.domain.metrics import METRICS, show_ratio
from lab.domain.result import Comparison, ResultRow

from .figures import POWER_KEYS, Figure, figures_of

DEFAULT_KEYS = ("accuracy_ratio", "size_bytes", "latency_p50_ns", "latency_ratio", "energy_gross_j", "energy_ratio",
                "memory_peak_bytes")
ABSENT = "–"

_RATIO_LABELS = {"latency_ratio": "Latency vs. baseline", "energy_ratio": "Energy vs. baseline"}


@dataclass(frozen=True, kw_only=True)
class Table:
    """Texts to be shown as they are: one line of `cells` per result row, as long as `columns`."""

    columns: tuple[str, ...]
    cells: tuple[tuple[str, ...], ...]


def results_table(rows: Sequence[ResultRow], keys: Sequence[str] = DEFAULT_KEYS) -> Table:
    """Technique, device and settings, one column per key with its unit, and what to know about the numbers.

    `keys` are those of `METRICS`, `latency_ratio` and `energy_ratio`. Power says in its own cell what it covers,
    and how it came to be unless it was measured, since tables get cut and pasted.
    """
    columns = ("Technique", "Device", "Settings", *(_label(key) for key in keys), "Notes")
    return Table(columns=columns, cells=tuple(_cells(row, keys) for row in rows))


def _label(key: str) -> str:
    return _RATIO_LABELS[key] if key in _RATIO_LABELS else f"{METRICS[key].label} ({METRICS[key].unit})"


def _cells(row: ResultRow, keys: Sequence[str]) -> tuple[str, ...]:
    figures = {figure.key: figure for figure in figures_of(row)}
    compared = {"latency_ratio": row.latency_ratio, "energy_ratio": row.energy_ratio}
    shown = [_ratio_text(compared[key]) if key in compared else _figure_text(figures[key]) for key in keys]
    return (_technique(row), row.device, row.settings, *shown, _notes(row))


def _technique(row: ResultRow) -> str:
    return row.technique if row.seed == 0 else f"{row.technique}, seed {row.seed}"


def _figure_text(figure: Figure) -> str:
    if figure.value is None:
        return ABSENT
    metric = METRICS[figure.key]
    text = metric.show(figure.value)
    if figure.low is not None and figure.high is not None:
        text += f" [{metric.show(figure.low)}, {metric.show(figure.high)}]"
    return f"{text} ({_power_text(figure)})" if figure.key in POWER_KEYS else text


def _power_text(figure: Figure) -> str:
    origin = () if figure.origin is Origin.MEASURED else (figure.origin or "origin unknown",)
    return ", ".join((figure.scope or "scope unknown", *origin))


def _ratio_text(comparison: Comparison | None) -> str:
    if comparison is None:
        return ABSENT
    if comparison.low_ratio is None or comparison.high_ratio is None:
        return f"{show_ratio(comparison.ratio)} ({comparison.answer})"
    return (f"{show_ratio(comparison.ratio)} [{comparison.low_ratio:.3g}, {comparison.high_ratio:.3g}] "
            f"{comparison.answer}")


def _notes(row: ResultRow) -> str:
    if row.failure:
        return f"{row.state}: {row.failure}"
    if row.result is None:
        return row.state
    codes = [flag.code for flag in row.result.flags if flag.severity is not Severity.INFO]
    return ", ".join(codes) if codes else str(row.result.verdict)
