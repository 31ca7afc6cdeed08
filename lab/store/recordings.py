"""Windows: the recording's file first, then its line in the database."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from agents.wire.recording import RecordingError, unpack_recording
from lab.domain.recording import BlockWindows, Window
from lab.domain.window_codec import window_from_recording
from lab.errors import ProtocolMismatch, RecordingConflict, RecordingMisplaced

from .codec import to_text
from .connection import Connection, Row, utc_now
from .traces import holds_recording, read_recording, trace_path, write_recording
from .window_cache import WindowCache

TRACES_FOLDER = "traces"

_CELL_WINDOWS = """
SELECT w.block_id, w.attempt, w.position, w.kind, w.sha256, b.number
FROM windows w JOIN blocks b ON b.id = w.block_id
WHERE (w.kind = 'idle' OR (w.cell_id = :cell AND w.artifact_sha256 IS
                           (SELECT artifact_sha256 FROM cells WHERE id = :cell)))
  AND w.block_id IN (SELECT block_id FROM windows WHERE cell_id = :cell)
  AND w.attempt = (SELECT max(attempt) FROM windows WHERE block_id = w.block_id)
ORDER BY b.number, b.id, w.position
"""


class RecordingRecords(Connection):
    """Windows by (block, attempt, position); their recordings lie in `traces/`, named by hash."""

    @cached_property
    def _windows(self) -> WindowCache:
        return WindowCache()

    @property
    def traces(self) -> Path:
        """Folder of the recordings' Parquet files."""
        return self.home / TRACES_FOLDER

    def ingest_window(self, data: bytes, *, campaign_id: str, device: str, block_number: int) -> bool:
        """Keep one recording as the device sent it; False if it is kept already.

        Killed at any point it leaves either nothing, or a file that the next call with the same bytes takes over.
        Raises ProtocolMismatch if the bytes are not a sound window, RecordingConflict if its place holds another
        recording, RecordingMisplaced if its block belongs elsewhere or no campaign has its cell, StoreError if the
        disk refuses.
        """
        window = _window(data)
        if self._is_kept(window):
            return False
        self._check_place(window, campaign_id, device, block_number)
        path = trace_path(self.traces, window.sha256)
        if not holds_recording(path, window.sha256):
            write_recording(path, data)
        with self._transaction():
            if self._is_kept(window):  # another process was faster
                return False
            self._check_place(window, campaign_id, device, block_number)
            self._insert_window(window, campaign_id, device, block_number)
        return True

    def cell_blocks(self, cell_id: str) -> tuple[BlockWindows, ...]:
        """The cell's window of every block, with the block's idles, by number of the block.

        Only the block's latest attempt counts: a block whose latest attempt lacks the cell's window gives nothing.
        Only windows of the cell's current artifact (`set_cell_artifact`) count; one that does not say what it
        measured counts only for a cell without an artifact. Raises StoreError if a recording is absent or damaged.
        """
        blocks: dict[str, list[Row]] = {}
        for row in self._rows(_CELL_WINDOWS, {"cell": cell_id}):
            blocks.setdefault(row["block_id"], []).append(row)
        return tuple(self._block_windows(rows) for rows in blocks.values()
                     if any(row["kind"] == "window" for row in rows))

    def last_block_number(self, cell_ids: Sequence[str]) -> int:
        """Highest number of a block that holds a window of one of the cells, whatever it measured; 0 for none.

        `cell_blocks` may leave that block out, but its number is taken.
        """
        row = self._row("SELECT max(b.number) AS number FROM windows w JOIN blocks b ON b.id = w.block_id "
                        "WHERE w.cell_id IN (SELECT value FROM json_each(?))", (to_text(tuple(cell_ids)),))
        return int(row["number"]) if row and row["number"] is not None else 0

    def has_window(self, sha256: str) -> bool:
        """Whether the recording of this hash is kept."""
        return self._row("SELECT 1 AS is_there FROM windows WHERE sha256 = ? LIMIT 1", (sha256,)) is not None

    def window(self, sha256: str) -> Window:
        """The window of that recording hash, read from its file, its arrays read-only; raises StoreError."""
        path = trace_path(self.traces, sha256)
        return self._windows.get(sha256, path, lambda: window_from_recording(*read_recording(path), sha256))

    def _block_windows(self, rows: list[Row]) -> BlockWindows:
        measured = next(row for row in rows if row["kind"] == "window")
        return BlockWindows(
            block_id=measured["block_id"], number=measured["number"], window=self.window(measured["sha256"]),
            idles=tuple(self.window(row["sha256"]) for row in rows if row["kind"] == "idle"))

    def _is_kept(self, window: Window) -> bool:
        row = self._row("SELECT sha256, cell_id FROM windows WHERE block_id = ? AND attempt = ? AND position = ?",
                        (window.block_id, window.attempt, window.position))
        if row is None:
            return False
        if row["sha256"] != window.sha256:
            raise RecordingConflict(
                f"window {window.position} of block {window.block_id}, attempt {window.attempt}, is kept with SHA-256 "
                f"{row['sha256']}, but a second copy has {window.sha256}: expected the same bytes; the first one "
                "stays, so put the second one aside, or measure the block again as a new attempt")
        return True

    def _check_place(self, window: Window, campaign_id: str, device: str, block_number: int) -> None:
        block = self._row("SELECT campaign_id, device, number FROM blocks WHERE id = ?", (window.block_id,))
        place = (campaign_id, device, block_number)
        if block is not None and (block["campaign_id"], block["device"], block["number"]) != place:
            raise RecordingMisplaced(
                f"block {window.block_id} is number {block['number']} of campaign {block['campaign_id']} on "
                f"{block['device']}, but a recording came as number {block_number} of campaign {campaign_id} on "
                f"{device}: put it aside; `lab run` of campaign {campaign_id} measures what it still lacks")
        if self._row("SELECT 1 FROM campaigns WHERE id = ?", (campaign_id,)) is None:
            raise RecordingMisplaced(
                f"a recording of block {window.block_id} came for campaign {campaign_id!r}, which is not in the "
                "database: put it aside, or use the LAB_HOME in which that campaign was started")
        if window.cell_id and self._row("SELECT 1 FROM cells WHERE id = ?", (window.cell_id,)) is None:
            raise RecordingMisplaced(
                f"a recording of block {window.block_id} names cell {window.cell_id!r}, which no campaign has: put it "
                "aside, or use the LAB_HOME in which its campaign was started")

    def _insert_window(self, window: Window, campaign_id: str, device: str, block_number: int) -> None:
        now = utc_now()
        self._write("INSERT INTO blocks (id, campaign_id, device, number, created_utc) VALUES (?, ?, ?, ?, ?) "
                    "ON CONFLICT (id) DO NOTHING", (window.block_id, campaign_id, device, block_number, now))
        self._insert("windows", {
            "block_id": window.block_id, "attempt": window.attempt, "position": window.position,
            "kind": window.kind, "cell_id": window.cell_id, "sha256": window.sha256,
            "started_utc": window.started_utc, "inferences": window.inferences, "error": window.error,
            "ingested_utc": now, "artifact_sha256": window.artifact_sha256})


def _window(data: bytes) -> Window:
    try:
        header, arrays = unpack_recording(data)
    except RecordingError as error:
        raise ProtocolMismatch(f"the device sent {len(data)} bytes that are no recording: {error}") from None
    return window_from_recording(header, arrays, hashlib.sha256(data).hexdigest())
