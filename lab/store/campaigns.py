"""Campaigns, the cells they consist of, and what happened to them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache

from lab.domain.block import Cell
from lab.domain.campaign import Campaign, Technique
from lab.domain.summary import CampaignHead, CampaignSummary, Event
from lab.errors import NotFound, StoreError

from .codec import from_text, to_text
from .connection import Row, utc_now
from .instants import CampaignClock
from .suggest import known_names

FIRST_STATE = "pending"
"""State of a campaign or cell nobody has worked on yet; `done` and `failed` are what summaries count."""

_PREFIX_MIN = 4
_CELLS_KEPT = 20_000
_CELLS_OF = """
FROM campaign_cells WHERE campaign_id = :id
AND (:device IS NULL OR cell_id IN (SELECT id FROM cells WHERE device = :device))
"""


class CampaignRecords(CampaignClock):
    """Campaigns by id, name or the beginning of an id."""

    def save_campaign(self, campaign_id: str, campaign: Campaign, workload_sha256: str, source_text: str, *,
                      priority: int = 10) -> None:
        """Keep a campaign as it was submitted; submitted again under its id, it keeps its state, age and priority.

        `source_text` is the file the user wrote. The workload may have changed meanwhile, so its hash is updated.
        """
        with self._transaction():
            self._write(
                "INSERT INTO campaigns (id, name, owner, workload, workload_sha256, definition, source_text, "
                "created_utc, state, priority) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET "
                "workload_sha256 = excluded.workload_sha256, definition = excluded.definition, "
                "source_text = excluded.source_text",
                (campaign_id, campaign.name, campaign.owner, campaign.workload, workload_sha256, to_text(campaign),
                 source_text, utc_now(), FIRST_STATE, priority))

    def campaigns(self) -> tuple[CampaignSummary, ...]:
        """Every campaign, oldest first."""
        return tuple(map(_summary, self._rows("SELECT * FROM campaign_view")))

    def campaign(self, id_or_name_or_prefix: str) -> CampaignSummary:
        """The campaign of that id, or the latest of that name, or the only one whose id begins so.

        Raises NotFound listing the known names, or the ids between which a beginning is ambiguous.
        """
        wanted, found = id_or_name_or_prefix, self.campaigns()
        for key in ("id", "name"):
            exact = [summary for summary in found if getattr(summary, key) == wanted]
            if exact:
                return exact[-1]
        begun = [summary for summary in found if len(wanted) >= _PREFIX_MIN and summary.id.startswith(wanted)]
        if len(begun) == 1:
            return begun[0]
        if begun:
            ids = ", ".join(f"{summary.id} ({summary.name})" for summary in begun)
            raise NotFound(f"{wanted!r} begins the ids of {len(begun)} campaigns: {ids}; give more of it")
        names = list(dict.fromkeys(summary.name for summary in reversed(found)))
        raise NotFound(f"there is no campaign {wanted!r}; {known_names(wanted, names, 'campaign')}")

    def head(self, campaign_id: str) -> CampaignHead:
        """State, epoch, priority and owner of the campaign of this very id. Raises NotFound."""
        row = self._row("SELECT id, owner, state, failure, priority, epoch FROM campaigns WHERE id = ?", (campaign_id,))
        if row is None:
            raise NotFound(f"there is no campaign of id {campaign_id!r}")
        return CampaignHead(**row)

    def definition(self, campaign_id: str) -> tuple[Campaign, str]:
        """What was submitted: the campaign and the text of its file. Raises NotFound."""
        row = self._row("SELECT definition, source_text FROM campaigns WHERE id = ?", (campaign_id,))
        if row is None:
            raise NotFound(f"there is no campaign of id {campaign_id!r}")
        return from_text(Campaign, row["definition"]), str(row["source_text"])

    def set_campaign_state(self, campaign_id: str, state: str, failure: str | None = None) -> None:
        """Note the campaign's state, and as an event if it is another than before. Raises NotFound."""
        before = self.head(campaign_id)
        with self._transaction():
            self._write("UPDATE campaigns SET state = ?, failure = ? WHERE id = ?", (state, failure, before.id))
            if (before.state, before.failure) != (state, failure):
                self._note(before.id, None, None, "campaign", state, failure or "")

    def open_epoch(self, campaign_id: str, campaign: Campaign, source_text: str, *, priority: int,
                   active: Collection[str]) -> int | None:
        """Keep a submitted campaign and begin its next epoch; None if it is in one of the `active` states already.

        One transaction, so that of two who submit the same campaign at once one begins it.
        """
        with self._transaction():
            known = self._row("SELECT state, workload_sha256 FROM campaigns WHERE id = ?", (campaign_id,))
            self.save_campaign(campaign_id, campaign, known["workload_sha256"] if known else "", source_text)
            if known is not None and known["state"] in active:
                return None
            self._write("UPDATE campaigns SET priority = ?, state = 'queued', failure = NULL WHERE id = ?",
                        (priority, campaign_id))
            self._note(campaign_id, None, None, "campaign", "queued", "")
            return self.next_epoch(campaign_id)

    def next_epoch(self, campaign_id: str) -> int:
        """Begin a new epoch: calls of earlier ones no longer count. Raises NotFound."""
        with self._transaction():
            if not self._write("UPDATE campaigns SET epoch = epoch + 1 WHERE id = ?", (campaign_id,)):
                raise NotFound(f"there is no campaign of id {campaign_id!r}")
            return self.head(campaign_id).epoch

    def set_priority(self, campaign_id: str, priority: int) -> None:
        """Of what waits for one device, campaigns with the lowest number go first. Raises NotFound."""
        with self._transaction():
            if not self._write("UPDATE campaigns SET priority = ? WHERE id = ?", (priority, campaign_id)):
                raise NotFound(f"there is no campaign of id {campaign_id!r}")

    def save_cells(self, campaign_id: str, cells: Sequence[Cell]) -> None:
        """Make these, in this order, the campaign's cells; cells it has already keep their state.

        Cells of an earlier plan that are not among them leave the campaign; what was measured of them stays.
        """
        with self._transaction():
            profiles = {row["name"]: row["profile"] for row in self._rows("SELECT name, profile FROM devices")}
            kept = {cell.id for cell in cells}
            for row in self._rows("SELECT cell_id FROM campaign_cells WHERE campaign_id = ?", (campaign_id,)):
                if row["cell_id"] not in kept:
                    self._write("DELETE FROM campaign_cells WHERE campaign_id = ? AND cell_id = ?",
                                (campaign_id, row["cell_id"]))
            for position, cell in enumerate(cells):
                self._save_cell(campaign_id, position, cell, profiles.get(cell.device, cell.profile_sha256[:12]))

    def cells(self, campaign_id: str, device: str | None = None) -> tuple[Cell, ...]:
        """The campaign's cells in order, as they were saved; of one device only, if it is named."""
        rows = self._rows(f"SELECT definition {_CELLS_OF} ORDER BY position", {"id": campaign_id, "device": device})
        return tuple(_cell(row["definition"]) for row in rows)

    def cell_states(self, campaign_id: str, device: str | None = None) -> dict[str, tuple[str, str | None]]:
        """State and failure of the campaign's cells by cell id, in order; of one device only, if it is named."""
        rows = self._rows(f"SELECT cell_id, state, failure {_CELLS_OF} ORDER BY position",
                          {"id": campaign_id, "device": device})
        return {row["cell_id"]: (row["state"], row["failure"]) for row in rows}

    def cell_state_counts(self, campaign_id: str) -> dict[str, int]:
        """How many of the campaign's cells are in each state."""
        rows = self._rows("SELECT state, count(*) AS cells FROM campaign_cells WHERE campaign_id = ? GROUP BY state",
                          (campaign_id,))
        return {row["state"]: row["cells"] for row in rows}

    def set_cell_state(self, campaign_id: str, cell_id: str, state: str, failure: str | None = None) -> None:
        """Note how far a cell is; raises NotFound if the campaign has no such cell."""
        with self._transaction():
            changed = self._write(
                "UPDATE campaign_cells SET state = ?, failure = ? WHERE campaign_id = ? AND cell_id = ?",
                (state, failure, campaign_id, cell_id))
            if not changed:
                raise NotFound(f"campaign {campaign_id} has no cell {cell_id}")

    def set_cell_states(self, campaign_id: str, cell_ids: Iterable[str], state: str, failure: str | None = None
                        ) -> None:
        """The same for several cells, all or none: one commit instead of one for each."""
        with self._transaction():
            for cell_id in cell_ids:
                self.set_cell_state(campaign_id, cell_id, state, failure)

    def record_failure(self, campaign_id: str, cell_id: str | None, device: str | None, stage: str, kind: str,
                       message: str) -> None:
        """Note what went wrong as an event; a cell of the campaign named here is failed with this message."""
        with self._transaction():
            if cell_id is not None:
                self._write("UPDATE campaign_cells SET state = 'failed', failure = ? "
                            "WHERE campaign_id = ? AND cell_id = ?", (message, campaign_id, cell_id))
            self._note(campaign_id, cell_id, device, stage, kind, message)

    def events(self, campaign_id: str) -> tuple[Event, ...]:
        """What happened to the campaign, oldest first: changes of its state, and failures."""
        rows = self._rows("SELECT campaign_id, cell_id, device, stage, kind, message, utc FROM events "
                          "WHERE campaign_id = ? ORDER BY id", (campaign_id,))
        return tuple(Event(**row) for row in rows)

    def _save_cell(self, campaign_id: str, position: int, cell: Cell, profile: str) -> None:
        self._write(
            "INSERT INTO cells (id, device, workload_sha256, steps, seed, profile_sha256, artifact_sha256) "
            "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET "
            "artifact_sha256 = coalesce(excluded.artifact_sha256, artifact_sha256)",
            (cell.id, cell.device, cell.workload_sha256, steps_text(cell.technique),
             seed_of(cell.technique, cell.seed), cell.profile_sha256, cell.artifact_sha256))
        self._write(
            "INSERT INTO campaign_cells (campaign_id, cell_id, position, technique, profile, definition, state) "
            "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (campaign_id, cell_id) DO UPDATE SET "
            "position = excluded.position, technique = excluded.technique, definition = excluded.definition",
            (campaign_id, cell.id, position, cell.technique.name, profile, to_text(cell), FIRST_STATE))

    def _note(self, campaign_id: str, cell_id: str | None, device: str | None, stage: str, kind: str,
              message: str) -> None:
        if self._row("SELECT id FROM campaigns WHERE id = ?", (campaign_id,)) is None:
            raise StoreError(f"cannot note an event: there is no campaign of id {campaign_id!r}")
        self._insert("events", {"campaign_id": campaign_id, "cell_id": cell_id, "device": device, "stage": stage,
                                "kind": kind, "message": message, "utc": self._instant(campaign_id)})


def steps_text(technique: Technique) -> str:
    """What a technique does, without its name: two names for the same steps are the same technique."""
    return to_text(tuple((step.name, tuple(sorted(step.params, key=lambda item: item[0])))
                         for step in technique.steps))


def seed_of(technique: Technique, seed: int) -> int:
    """The seed that matters: the baseline has none."""
    return 0 if technique.is_baseline else seed


@lru_cache(maxsize=_CELLS_KEPT)
def _cell(definition: str) -> Cell:
    return from_text(Cell, definition)


def _summary(row: Row) -> CampaignSummary:
    return CampaignSummary(**row)
