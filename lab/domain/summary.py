"""What a list of campaigns shows: each one in a line, and what happened to it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class CampaignSummary:
    """One stored campaign and how far it is; `failure` is the text of what ended it, if anything did."""

    id: str
    name: str
    owner: str
    workload: str
    workload_sha256: str
    created_utc: str
    state: str
    failure: str | None
    cells_total: int
    cells_done: int
    cells_failed: int
    priority: int = 10
    epoch: int = 0


@dataclass(frozen=True, kw_only=True)
class CampaignHead:
    """What every decision of the queue asks of a campaign; read without counting its cells."""

    id: str
    owner: str
    state: str
    failure: str | None
    priority: int
    epoch: int


@dataclass(frozen=True, kw_only=True)
class Event:
    """One thing that happened to a campaign; `kind` is a state or the type of a failure."""

    campaign_id: str
    cell_id: str | None
    device: str | None
    stage: str
    kind: str
    message: str
    utc: str
