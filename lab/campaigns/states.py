"""The states of cells and campaigns, where code must tell those that are over from those that go on."""

from __future__ import annotations

CELL_OVER = frozenset({"done", "failed"})
"""Nothing more happens to such a cell in this epoch."""

CAMPAIGN_OVER = frozenset({"done", "partial", "failed", "cancelled"})
"""Nothing more happens to such a campaign until somebody resumes or submits it."""

CAMPAIGN_ACTIVE = frozenset({"queued", "preparing", "measuring", "waiting"})
"""Such a campaign has calls in the queue, or waits for a device."""
