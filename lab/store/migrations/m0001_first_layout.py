"""The first layout: devices, campaigns, cells, artifacts, recordings, results, and two views over them.

Columns that hold JSON text are named like the domain field they restore; numbers for charts are in the views.
"""

from __future__ import annotations

from sqlite_utils import Database

from .m0001_first_views import CAMPAIGN_VIEW, RESULT_VIEW

_TEXT, _INTEGER, _REAL = str, int, float

_TABLES: tuple[tuple[str, str | tuple[str, ...], dict[str, type], tuple[str, ...]], ...] = (
    ("devices", "name", {"name": _TEXT, "url": _TEXT, "profile": _TEXT, "python": _TEXT, "added_utc": _TEXT},
     ("python",)),
    ("device_facts", "id", {"id": _INTEGER, "device": _TEXT, "facts": _TEXT, "recorded_utc": _TEXT}, ()),
    ("campaigns", "id", {
        "id": _TEXT, "name": _TEXT, "owner": _TEXT, "workload": _TEXT, "workload_sha256": _TEXT,
        "definition": _TEXT, "source_text": _TEXT, "created_utc": _TEXT, "state": _TEXT, "failure": _TEXT,
    }, ("failure",)),
    ("artifacts", "sha256", {
        "sha256": _TEXT, "size_bytes": _INTEGER, "format": _TEXT, "opset": _INTEGER, "ir_version": _INTEGER,
        "parameters": _INTEGER, "macs": _INTEGER, "decoded_sha256": _TEXT,
    }, ("parameters", "macs", "decoded_sha256")),
    ("compressions", "id", {
        "id": _INTEGER, "workload_sha256": _TEXT, "technique": _TEXT, "steps": _TEXT, "seed": _INTEGER,
        "artifact_sha256": _TEXT, "parent_sha256": _TEXT, "step": _TEXT, "accuracy_ratio": _REAL,
        "metric": _TEXT, "compress_ns": _INTEGER, "outcomes": _TEXT, "created_utc": _TEXT,
    }, ("parent_sha256", "step", "accuracy_ratio", "metric")),
    ("cells", "id", {
        "id": _TEXT, "device": _TEXT, "workload_sha256": _TEXT, "steps": _TEXT, "seed": _INTEGER,
        "profile_sha256": _TEXT, "artifact_sha256": _TEXT,
    }, ("artifact_sha256",)),
    ("campaign_cells", ("campaign_id", "cell_id"), {
        "campaign_id": _TEXT, "cell_id": _TEXT, "position": _INTEGER, "technique": _TEXT, "profile": _TEXT,
        "definition": _TEXT, "state": _TEXT, "failure": _TEXT,
    }, ("failure",)),
    ("blocks", "id", {
        "id": _TEXT, "campaign_id": _TEXT, "device": _TEXT, "number": _INTEGER, "created_utc": _TEXT,
    }, ()),
    ("windows", "id", {
        "id": _INTEGER, "block_id": _TEXT, "attempt": _INTEGER, "position": _INTEGER, "kind": _TEXT,
        "cell_id": _TEXT, "sha256": _TEXT, "started_utc": _TEXT, "inferences": _INTEGER, "error": _TEXT,
        "ingested_utc": _TEXT,
    }, ("cell_id", "error")),
    ("results", "id", {
        "id": _INTEGER, "cell_id": _TEXT, "created_utc": _TEXT, "n_blocks": _INTEGER, "n_inferences": _INTEGER,
        "load": _TEXT, "latency_p50_ns": _TEXT, "latency_p90_ns": _TEXT, "latency_p95_ns": _TEXT,
        "latency_p99_ns": _TEXT, "latency_max_ns": _INTEGER, "throughput_hz": _REAL, "load_ns": _INTEGER,
        "first_inference_ns": _INTEGER, "cpu_per_inference_ns": _REAL, "memory_kind": _TEXT,
        "memory_peak_bytes": _INTEGER, "memory_delta_bytes": _INTEGER, "deadline_misses": _INTEGER,
        "idle_power_w": _REAL, "mean_power_w": _REAL, "energy_gross_j": _TEXT, "energy_net_j": _TEXT,
        "power_scope": _TEXT, "power_origin": _TEXT, "temperature_max_c": _REAL, "flags": _TEXT,
        "verdict": _TEXT,
    }, ("latency_p50_ns", "latency_p90_ns", "latency_p95_ns", "latency_p99_ns", "latency_max_ns", "throughput_hz",
        "load_ns", "first_inference_ns", "cpu_per_inference_ns", "memory_kind", "memory_peak_bytes",
        "memory_delta_bytes", "deadline_misses", "idle_power_w", "mean_power_w", "energy_gross_j", "energy_net_j",
        "power_scope", "power_origin", "temperature_max_c")),
    ("comparisons", "id", {
        "id": _INTEGER, "campaign_id": _TEXT, "cell_id": _TEXT, "baseline_cell_id": _TEXT, "metric": _TEXT,
        "ratio": _REAL, "low_ratio": _REAL, "high_ratio": _REAL, "n_blocks": _INTEGER, "answer": _TEXT,
        "subject": _TEXT, "n_devices": _INTEGER, "flags": _TEXT, "created_utc": _TEXT,
    }, ("ratio", "low_ratio", "high_ratio")),
    ("events", "id", {
        "id": _INTEGER, "campaign_id": _TEXT, "cell_id": _TEXT, "device": _TEXT, "stage": _TEXT, "kind": _TEXT,
        "message": _TEXT, "utc": _TEXT,
    }, ("cell_id", "device")),
)
"""Table, primary key, columns, and which of them may be NULL."""

_REFERENCES: dict[str, tuple[tuple[str, str, str], ...]] = {
    "compressions": (("artifact_sha256", "artifacts", "sha256"),),
    "cells": (("artifact_sha256", "artifacts", "sha256"),),
    "campaign_cells": (("campaign_id", "campaigns", "id"), ("cell_id", "cells", "id")),
    "blocks": (("campaign_id", "campaigns", "id"),),
    "windows": (("block_id", "blocks", "id"), ("cell_id", "cells", "id")),
    "results": (("cell_id", "cells", "id"),),
    "comparisons": (("campaign_id", "campaigns", "id"), ("cell_id", "cells", "id"),
                    ("baseline_cell_id", "cells", "id")),
    "events": (("campaign_id", "campaigns", "id"),),
}

_INDEXES: tuple[tuple[str, tuple[str, ...], bool], ...] = (
    ("device_facts", ("device",), False),
    ("compressions", ("workload_sha256", "steps", "seed", "artifact_sha256"), True),
    ("compressions", ("artifact_sha256",), False),
    ("campaign_cells", ("cell_id",), False),
    ("windows", ("block_id", "attempt", "position"), True),
    ("windows", ("cell_id",), False),
    ("results", ("cell_id",), False),
    ("comparisons", ("campaign_id", "cell_id", "metric"), False),
    ("events", ("campaign_id",), False),
)


def create_first_layout(db: Database) -> None:
    """Create tables, indexes and views in an empty database."""
    for name, key, columns, nullable in _TABLES:
        required = set(columns) - set(nullable) - ({key} if key == "id" and columns["id"] is int else set())
        db.create_table(name, columns, pk=key, not_null=required, foreign_keys=_REFERENCES.get(name, ()),
                        strict=True)
    for table, indexed, is_unique in _INDEXES:
        db.table(table).create_index(list(indexed), unique=is_unique)
    db.create_view("campaign_view", CAMPAIGN_VIEW)
    db.create_view("result_view", RESULT_VIEW)
