"""Who may use devices for how long, and for how long they did."""

from __future__ import annotations

from dataclasses import asdict

from lab.domain.queue import Quota
from lab.errors import NotFound

from .connection import Connection
from .suggest import known_names


class QuotaRecords(Connection):
    """Quotas by owner: the name that stands in their campaigns."""

    def set_quota(self, quota: Quota) -> None:
        """Give an owner a quota, instead of the one they have."""
        with self._transaction():
            self._write("DELETE FROM quotas WHERE owner = ?", (quota.owner,))
            self._insert("quotas", asdict(quota))

    def quota(self, owner: str) -> Quota | None:
        """The owner's, or None if they may use what they like."""
        row = self._row("SELECT * FROM quotas WHERE owner = ?", (owner,))
        return None if row is None else Quota(**row)

    def quotas(self) -> tuple[Quota, ...]:
        """All of them, by owner."""
        return tuple(Quota(**row) for row in self._rows("SELECT * FROM quotas ORDER BY owner"))

    def remove_quota(self, owner: str) -> None:
        """The owner may use what they like again. Raises NotFound naming who has one."""
        with self._transaction():
            if not self._write("DELETE FROM quotas WHERE owner = ?", (owner,)):
                names = [quota.owner for quota in self.quotas()]
                raise NotFound(f"{owner!r} has no quota; {known_names(owner, names, 'quota')}")

    def device_spans(self, owner: str, since_utc: str) -> tuple[tuple[str, str], ...]:
        """From when to when (UTC) blocks of the owner's campaigns had a device, of those that ended after `since_utc`.

        Times are written as `utc_now` writes them. A block of which nobody saw how long it took is not among them.
        """
        rows = self._rows(
            "SELECT a.started_utc, a.ended_utc FROM block_attempts a JOIN campaigns c ON c.id = a.campaign_id WHERE "
            "c.owner = ? AND a.started_utc IS NOT NULL AND a.ended_utc > ? ORDER BY a.started_utc", (owner, since_utc))
        return tuple((str(row["started_utc"]), str(row["ended_utc"])) for row in rows)
