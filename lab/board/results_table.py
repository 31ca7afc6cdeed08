"""The Compare page's table: one line per technique × device, figures beside their ratio to the baseline."""

from __future__ import annotations

from collections.abc import Sequence

from lab.domain.flags import Verdict
from lab.domain.metrics import METRICS, show_ratio
from lab.domain.result import ResultRow

from .figures import (
    ARTIFACT_KEYS,
    MEMORY_KEYS,
    POWER_KEYS,
    Compared,
    absent_code,
    absent_reason,
    comparison,
    flags_of,
    is_simulated,
    power_scope,
    remedy,
    show,
    show_bounds,
)
from .table import Cell, Line, chip, flag_chips, sub, table, text_cell
from .words import LONG_LIMIT, counted, html_text

MAIN_KEYS = ("latency_p50_ns", "energy_gross_j", "accuracy_ratio", "size_bytes", "parameters", "macs",
             "memory_peak_bytes")
"""Metrics always shown; the page offers the others."""

_COMPARED: tuple[Compared, ...] = ("latency_p50_ns", "energy_gross_j")


def results_table(labelled: Sequence[tuple[str, ResultRow]], *, keys: Sequence[str], baselines: frozenset[str],
                  caption: str) -> str:
    """The table as HTML: (technique's label, row) per line, `keys` of the metrics table per column.

    `baselines` are the ids of the cells that the campaign compares to.
    """
    rows = [row for _, row in labelled]
    say_settings = len({row.settings for row in rows}) > 1
    before = [None, *(row.device for row in rows[:-1])]
    lines = [Line(cells=_cells(row, label, keys, baselines, say_settings=say_settings),
                  css=" ".join(_line_classes(row, above)))
             for (label, row), above in zip(labelled, before, strict=True)]
    return table(_heads(keys), lines, caption=caption)


def _line_classes(row: ResultRow, device_above: str | None) -> list[str]:
    is_void = row.result is not None and row.result.verdict is Verdict.VOID
    return [name for name, wanted in (("void", is_void), ("first", row.device != device_above)) if wanted]


def _heads(keys: Sequence[str]) -> list[Cell]:
    heads = [Cell(html="Technique"), Cell(html="Device")]
    for key in keys:
        metric = METRICS[key]
        arrow = "↓" if metric.better == "lower" else "↑"
        heads.append(Cell(html=html_text(metric.label) + sub(f"{metric.unit} {arrow}"), css="n",
                          title=f"{metric.better} is better"))
        if key in _COMPARED:
            heads.append(Cell(html="vs baseline" + sub("ratio ↓"), css="n", title="lower is better"))
    return [*heads, Cell(html="Flags")]


def _cells(row: ResultRow, label: str, keys: Sequence[str], baselines: frozenset[str], *, say_settings: bool
           ) -> list[Cell]:
    is_baseline = row.result is not None and row.result.cell_id in baselines
    device = html_text(row.device) + (sub(row.settings) if say_settings else "")
    cells = [text_cell(label), Cell(html=device, css="name")]
    for key in keys:
        cells.append(_figure(row, key))
        if key in _COMPARED:
            cells.append(_ratio(row, key, is_baseline=is_baseline))
    return [*cells, _notes(row)]


def _figure(row: ResultRow, key: str) -> Cell:
    css = "n" if key in ARTIFACT_KEYS else "n measured"
    shown = f'<span class="value">{html_text(show(row, key))}</span>'
    if show(row, key) == "–":
        code = absent_code(row, key)
        return Cell(html=shown + sub(absent_reason(row, key)), css=css, key=key,
                    title=html_text(remedy(code), LONG_LIMIT) if code else "")
    interval = show_bounds(row, key)
    beneath = sub(interval) if interval else ""
    if key in POWER_KEYS:
        shown = (chip("simulated", "SIMULATED") if is_simulated(row) else "") + shown
        beneath += sub(power_scope(row).removesuffix(", SIMULATED"))
    elif key in MEMORY_KEYS and row.result is not None and row.result.memory_kind:
        beneath += sub(row.result.memory_kind)
    elif key == "accuracy_ratio" and row.metric not in {None, "accuracy"}:
        beneath += sub(row.metric)
    return Cell(html=shown + beneath, css=css, key=key)


def _ratio(row: ResultRow, key: Compared, *, is_baseline: bool) -> Cell:
    name = f"{key}:ratio"
    compared = comparison(row, key)
    if is_baseline and show(row, key) != "–":
        return Cell(html="×1" + sub("the baseline"), css="n", key=name)
    if compared is None:
        return Cell(html="–" + sub(_why_no_ratio(row, key)), css="n", key=name)
    ends = (f"{show_ratio(compared.low_ratio)} – {show_ratio(compared.high_ratio)}"
            if compared.low_ratio is not None and compared.high_ratio is not None else "interval not known")
    before = chip(compared.answer, compared.answer) if compared.answer in {"better", "worse"} else ""
    after = "" if before else sub(compared.answer)
    basis = (f"Paired over {counted(compared.n_blocks, 'block')}; {compared.subject}, "
             f"{counted(compared.n_devices, 'device')}.")
    return Cell(html=f'{before}<span class="value">{show_ratio(compared.ratio)}</span>{sub(ends)}{after}',
                css="n measured", key=name, title=html_text(basis))


def _why_no_ratio(row: ResultRow, key: Compared) -> str:
    return absent_reason(row, key) if show(row, key) == "–" else "no shared blocks"


def _notes(row: ResultRow) -> Cell:
    if row.result is None:
        failed = row.failure is not None
        return Cell(html=chip("failed" if failed else "info", row.state) + (sub(row.failure) if failed else ""),
                    css="wide", key="flags")
    verdict = row.result.verdict
    parts = [chip(verdict.value, verdict.upper())] if verdict is not Verdict.VALID else []
    parts.append(flag_chips(flags_of(row)))
    parts.append(sub(f"{counted(row.result.n_blocks, 'block')}, {counted(row.result.n_inferences, 'inference')}"))
    return Cell(html="".join(parts), css="wide", key="flags")
