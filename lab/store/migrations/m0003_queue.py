"""What the durable queue needs: where devices hang, priorities, attempts at blocks, quarantine, reservations, audit."""

from __future__ import annotations

from sqlite_utils import Database

_TABLES: tuple[tuple[str, str | tuple[str, ...], dict[str, type], tuple[str, ...]], ...] = (
    ("block_attempts", ("block_id", "attempt"), {
        "block_id": str, "attempt": int, "campaign_id": str, "device": str, "number": int, "state": str,
        "expected_ns": int, "queued_utc": str, "started_utc": str, "ended_utc": str, "error": str,
        "error_kind": str, "transient": int,
    }, ("expected_ns", "started_utc", "ended_utc", "error", "error_kind", "transient")),
    ("device_health", "device", {"device": str, "failures": int, "quarantined_utc": str, "reason": str},
     ("quarantined_utc", "reason")),
    ("reservations", "device", {"device": str, "holder": str, "reason": str, "until_utc": str, "since_utc": str},
     ("until_utc",)),
    ("grants", "id", {"id": int, "device": str, "event": str, "holder": str, "fence": int, "detail": str, "utc": str},
     ("fence",)),
)

_CAMPAIGN_VIEW = """
SELECT c.id, c.name, c.owner, c.workload, c.workload_sha256, c.created_utc, c.state, c.failure,
       count(cc.cell_id) AS cells_total,
       coalesce(sum(cc.state = 'done'), 0) AS cells_done,
       coalesce(sum(cc.state = 'failed'), 0) AS cells_failed,
       c.priority, c.epoch
FROM campaigns c LEFT JOIN campaign_cells cc ON cc.campaign_id = c.id
GROUP BY c.id ORDER BY c.created_utc, c.id
"""


def add_queue(db: Database) -> None:
    """Add columns and tables; devices of before hang at the controller, campaigns have the usual priority."""
    for column, default in (("agent_host", "controller"), ("pools", "[]"), ("power", "[]")):
        db.table("devices").add_column(column, str, not_null_default=default)
    db.table("campaigns").add_column("priority", int, not_null_default=10)
    db.table("campaigns").add_column("epoch", int, not_null_default=0)
    for name, key, columns, nullable in _TABLES:
        required = set(columns) - set(nullable) - ({"id"} if key == "id" else set())
        references = (("campaign_id", "campaigns", "id"),) if name == "block_attempts" else ()
        db.create_table(name, columns, pk=key, not_null=required, foreign_keys=references, strict=True)
    db.table("block_attempts").create_index(["campaign_id", "device"])
    db.table("grants").create_index(["device"])
    db.create_view("campaign_view", _CAMPAIGN_VIEW, replace=True)
