"""The results table: one row per cell of a campaign, joined from all that is known about it."""

from __future__ import annotations

from lab.domain.block import Cell
from lab.domain.campaign import Settings
from lab.domain.result import Comparison, Result, ResultRow
from lab.domain.settings_text import settings_text

from .campaigns import CampaignRecords
from .codec import from_text
from .connection import Row
from .results import ResultRecords, comparison_of, result_of

_ROWS = """
SELECT v.*, cc.definition FROM result_view v
JOIN campaign_cells cc ON cc.campaign_id = v.campaign_id AND cc.cell_id = v.cell_id
JOIN campaigns c ON c.id = v.campaign_id
WHERE (:campaign IS NULL OR v.campaign_id = :campaign) AND (:device IS NULL OR v.device = :device)
ORDER BY c.created_utc, c.id, cc.position
"""

_RESULTS = """
SELECT r.* FROM results r JOIN result_view v ON v.result_id = r.id
WHERE (:campaign IS NULL OR v.campaign_id = :campaign) AND (:device IS NULL OR v.device = :device)
"""

_COMPARISONS = """
SELECT c.* FROM comparisons c JOIN result_view v ON c.id IN (v.latency_comparison_id, v.energy_comparison_id)
WHERE c.ratio IS NOT NULL
  AND (:campaign IS NULL OR v.campaign_id = :campaign) AND (:device IS NULL OR v.device = :device)
"""


class RowRecords(CampaignRecords, ResultRecords):
    """Reads what CLI, board and exports show."""

    def result_rows(self, campaign: str | None = None, device: str | None = None) -> tuple[ResultRow, ...]:
        """Rows in campaign order; per device and settings the baseline comes first, then the order of the plan.

        `campaign` is an id, a name or the beginning of an id (NotFound if nothing answers to it); `device` a name.
        The result and comparisons are the latest ones; a comparison whose ratio is not known is None.
        """
        campaign_id = None if campaign is None else self.campaign(campaign).id
        chosen = {"campaign": campaign_id, "device": device}
        with self._snapshot():
            rows = self._rows(_ROWS, chosen)
            results = {row["id"]: result_of(row) for row in self._rows(_RESULTS, chosen)}
            comparisons = {row["id"]: comparison_of(row) for row in self._rows(_COMPARISONS, chosen)}
        cells: list[Cell] = [from_text(Cell, row["definition"]) for row in rows]
        made = [_result_row(row, cell.settings, results, comparisons) for row, cell in zip(rows, cells, strict=True)]
        return tuple(made[at] for at in _table_order(rows, cells))


def _table_order(rows: list[Row], cells: list[Cell]) -> list[int]:
    """Indexes of the rows with each baseline before what is compared to it."""
    groups: dict[tuple[str, str, Settings], int] = {}
    for row, cell in zip(rows, cells, strict=True):
        groups.setdefault((row["campaign_id"], cell.device, cell.settings), len(groups))

    def key(at: int) -> tuple[int, bool, int]:
        group = groups[rows[at]["campaign_id"], cells[at].device, cells[at].settings]
        return group, not cells[at].technique.is_baseline, at

    return sorted(range(len(rows)), key=key)


def _result_row(row: Row, settings: Settings, results: dict[int, Result], comparisons: dict[int, Comparison]
                ) -> ResultRow:
    return ResultRow(
        campaign=row["campaign"], technique=row["technique"], device=row["device"], profile=row["profile"],
        seed=row["seed"], settings=settings_text(settings), preset=row["preset"],
        artifact_sha256=row["artifact_sha256"], size_bytes=row["size_bytes"], parameters=row["parameters"],
        macs=row["macs"], accuracy_ratio=row["accuracy_ratio"], metric=row["metric"],
        compress_ns=row["compress_ns"], result=results.get(row["result_id"]),
        latency_ratio=comparisons.get(row["latency_comparison_id"]),
        energy_ratio=comparisons.get(row["energy_comparison_id"]),
        state=row["state"], failure=row["failure"], measured_utc=row["measured_utc"])
