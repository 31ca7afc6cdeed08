"""Which artifact a window measured: NULL for idles, and for windows recorded before devices said so."""

from __future__ import annotations

from sqlite_utils import Database


def add_window_artifact(db: Database) -> None:
    """Add `windows.artifact_sha256`; what is there already stays NULL, since nobody noted it."""
    db.table("windows").add_column("artifact_sha256", str)
