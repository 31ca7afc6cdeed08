"""Times of what happens to a campaign: never before what is noted already, whatever this machine's clock does."""

from __future__ import annotations

from datetime import datetime, timedelta

from .connection import Connection, utc_text

_LATEST = """
SELECT max(utc) AS utc FROM (
  SELECT max(utc) AS utc FROM events WHERE campaign_id = :id
  UNION ALL SELECT max(ended_utc) FROM block_attempts WHERE campaign_id = :id)
"""


class CampaignClock(Connection):
    """What came after what decides whether a cell is given up, so a clock that was set back must not change it."""

    def _instant(self, campaign_id: str) -> str:
        """Now in UTC, or just after the latest thing noted of the campaign if that lies in the future."""
        row = self._row(_LATEST, {"id": campaign_id})
        now_utc = self._clock()
        return max(now_utc, _just_after(row["utc"])) if row and row["utc"] else now_utc


def before(utc: str, nanoseconds: int) -> str:
    """The instant so long before another one, both as `utc_now` writes them."""
    return utc_text(datetime.fromisoformat(utc) - timedelta(microseconds=nanoseconds / 1000))


def _just_after(utc: str) -> str:
    return utc_text(datetime.fromisoformat(utc) + timedelta(microseconds=1))
