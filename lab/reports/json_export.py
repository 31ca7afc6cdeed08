"""Results as JSON: everything that is known, at full precision, for other programs."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict

from lab.domain.flags import Flag
from lab.domain.metrics import PERCENTILE_METHOD
from lab.domain.result import Comparison, Quantity, ResultRow

from .figures import Figure, figures_of

FORMAT = "joulelab.results"
VERSION = 1
"""Grows when a field changes its meaning or goes; new fields may come at any time."""


def rows_to_json(rows: Iterable[ResultRow]) -> str:
    """JSON text: `{"format", "version", "percentile_method", "rows": [...]}`.

    Each figure has `value` (null: not known, see `flags`), `unit`, the 95 % interval `low` and `high`, and for power
    `scope` and `origin`. Energies also carry their uncertainty budget; infinite degrees of freedom are "inf".
    """
    document = {"format": FORMAT, "version": VERSION, "percentile_method": PERCENTILE_METHOD,
                "rows": [_row(row) for row in rows]}
    return json.dumps(document, indent=2, allow_nan=False)


def _row(row: ResultRow) -> dict[str, object]:
    result = row.result
    return {
        "campaign": row.campaign, "technique": row.technique, "device": row.device, "profile": row.profile,
        "seed": row.seed, "settings": row.settings, "preset": row.preset, "state": row.state,
        "failure": row.failure, "measured_utc": row.measured_utc, "artifact_sha256": row.artifact_sha256,
        "accuracy_metric": row.metric, "cell_id": result.cell_id if result else None,
        "verdict": result.verdict if result else None,
        "n_blocks": result.n_blocks if result else None,
        "n_inferences": result.n_inferences if result else None,
        "load": asdict(result.load) if result else None,
        "memory_kind": result.memory_kind if result else None,
        "figures": {figure.key: _figure(figure, row) for figure in figures_of(row)},
        "comparisons": {"latency_p50_ns": _comparison(row.latency_ratio),
                        "energy_gross_j": _comparison(row.energy_ratio)},
        "flags": _flags(result.flags if result else ()),
    }


def _figure(figure: Figure, row: ResultRow) -> dict[str, object]:
    shown: dict[str, object] = {"value": _finite(figure.value), "unit": figure.unit, "low": _finite(figure.low),
                                "high": _finite(figure.high)}
    if figure.origin is not None:
        shown |= {"scope": figure.scope, "origin": figure.origin}
    stored = getattr(row.result, figure.key, None) if row.result else None
    if isinstance(stored, Quantity):
        shown |= _uncertainty(stored)
    return shown


def _uncertainty(quantity: Quantity) -> dict[str, object]:
    return {
        "standard_uncertainty": _finite(quantity.standard_uncertainty),
        "coverage_factor": _finite(quantity.coverage_factor),
        "degrees_of_freedom": _finite(quantity.degrees_of_freedom),
        "budget": [{"name": line.name, "kind": line.kind, "standard_uncertainty": _finite(line.standard_uncertainty),
                    "degrees_of_freedom": _finite(line.degrees_of_freedom)} for line in quantity.budget],
    }


def _comparison(comparison: Comparison | None) -> dict[str, object] | None:
    if comparison is None or math.isnan(comparison.ratio):
        return None
    fields = asdict(comparison)
    return fields | {name: _finite(fields[name]) for name in ("ratio", "low_ratio", "high_ratio")} | {
        "flags": _flags(comparison.flags)}


def _flags(flags: Sequence[Flag]) -> list[dict[str, object]]:
    return [{"code": flag.code, "severity": flag.severity, "detail": flag.detail, "touched_ns": flag.touched_ns}
            for flag in flags]


def _finite(value: float | None) -> float | str | None:
    """JSON has no infinity; its name serves, and is read back by `float()`."""
    return value if value is None or math.isfinite(value) else repr(float(value))
