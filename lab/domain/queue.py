"""What the queue leaves in the database: attempts at blocks, the health of devices, who holds or reserved them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

AttemptState: TypeAlias = Literal["queued", "done", "failed", "cancelled", "void"]
GrantEvent: TypeAlias = Literal["granted", "released", "reserved", "freed", "kicked", "quarantined", "recovered",
                                 "switched"]


@dataclass(frozen=True, kw_only=True)
class BlockAttempt:
    """One attempt at one block, from when it was put into the queue."""

    block_id: str
    attempt: int
    campaign_id: str
    device: str
    number: int
    state: AttemptState
    expected_ns: int | None
    queued_utc: str
    started_utc: str | None = None
    ended_utc: str | None = None
    error: str | None = None
    error_kind: str | None = None
    transient: bool | None = None


@dataclass(frozen=True, kw_only=True)
class DeviceHealth:
    """Failures in a row, and since when and why a device is set aside."""

    device: str
    failures: int = 0
    quarantined_utc: str | None = None
    reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class Reservation:
    """A person keeps a device for themselves; without an end until they free it."""

    device: str
    holder: str
    reason: str
    until_utc: str | None
    since_utc: str


Period: TypeAlias = Literal["day", "week"]
PERIOD_S: dict[Period, float] = {"day": 86_400.0, "week": 7 * 86_400.0}


@dataclass(frozen=True, kw_only=True)
class Quota:
    """How many seconds of device time an owner's campaigns may take in any `period`, and who says so."""

    owner: str
    device_s: float
    period: Period
    set_by: str
    set_utc: str

    @property
    def period_s(self) -> float:
        """Length of the window that moves with the clock, in seconds."""
        return PERIOD_S[self.period]


@dataclass(frozen=True, kw_only=True)
class Grant:
    """One line of the audit: who got a device, or lost it."""

    id: int
    device: str
    event: GrantEvent
    holder: str
    fence: int | None
    detail: str
    utc: str
