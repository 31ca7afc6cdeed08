"""The end of a campaign, or of one device's part in it."""

from __future__ import annotations

from lab.domain.block import Cell

from .base import ProgressEvent, Services
from .calls import Call
from .states import CELL_OVER


def end_campaign(campaign_id: str, services: Services) -> list[Call]:
    """Give the campaign its last state if no cell is open any more; no call follows from that.

    Cells that wait for a quarantined device keep the campaign open: it is `waiting`, unless another device still works.
    """
    store = services.store
    counts = store.cell_state_counts(campaign_id)
    total, done = sum(counts.values()), counts.get("done", 0)
    if all(state in CELL_OVER for state in counts):
        if done == total:
            _finish(campaign_id, "done", None, services)
        else:
            _finish(campaign_id, "partial" if done else "failed",
                    f"{total - done} of {total} cells have no result", services)
    elif all(state in CELL_OVER or state == "held" for state in counts):
        store.set_campaign_state(campaign_id, "waiting", f"{counts['held']} of {total} cells wait for a device")
    return []


def _finish(campaign_id: str, state: str, failure: str | None, services: Services) -> None:
    services.listener(ProgressEvent(stage="analyse", subject="results", text="comparing"))
    services.store.set_campaign_state(campaign_id, state, failure)
    services.notify(campaign_id, state, failure)


def open_cells(campaign_id: str, device: str, services: Services) -> list[Cell]:
    """The device's cells that have neither a result nor a reason why not."""
    states = services.store.cell_states(campaign_id, device)
    return [cell for cell in services.store.cells(campaign_id, device) if states[cell.id][0] not in CELL_OVER]


def why_open(cell: Cell, services: Services) -> str:
    """Why a cell has no result although nothing more is to be measured for it."""
    blocks = services.store.cell_blocks(cell.id)
    said = next((block.window.error for block in reversed(blocks) if block.window.error), None)
    return said or f"{len(blocks)} blocks brought no usable window; `lab campaigns retry` tries again"
