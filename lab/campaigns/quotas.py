"""How much device time an owner's campaigns took lately, held against the quota they were given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TypeAlias

from lab.domain.queue import Quota
from lab.store.connection import utc_text
from lab.store.store import Store

Span: TypeAlias = tuple[datetime, datetime]


@dataclass(frozen=True, kw_only=True)
class QuotaUse:
    """A quota and how much of it is used; `free_at` is when a part of it comes free again, if all of it is used."""

    quota: Quota
    used_s: float
    free_at: datetime | None

    @property
    def is_used_up(self) -> bool:
        """Whether the owner's campaigns have to wait."""
        return self.free_at is not None


def quota_use(quota: Quota, store: Store, now: datetime) -> QuotaUse:
    """What the owner's blocks took on any device in the period before `now`; blocks under way count once they end."""
    start = now - timedelta(seconds=quota.period_s)
    spans = [(datetime.fromisoformat(begun), datetime.fromisoformat(ended))
             for begun, ended in store.device_spans(quota.owner, utc_text(start))]
    inside = [(max(begun, start), min(ended, now)) for begun, ended in spans if begun < now]
    used_s = sum((ended - begun).total_seconds() for begun, ended in inside)
    if used_s < quota.device_s:
        return QuotaUse(quota=quota, used_s=used_s, free_at=None)
    return QuotaUse(quota=quota, used_s=used_s, free_at=_free_at(inside, used_s - quota.device_s, quota.period_s))


def why_not_now(owner: str, store: Store, now: datetime | None = None) -> tuple[str, datetime] | None:
    """Why the owner's campaigns wait, for people, and when that ends; None while they need not."""
    quota = store.quota(owner)
    use = None if quota is None else quota_use(quota, store, now or datetime.now(UTC))
    if use is None or use.free_at is None:
        return None
    return (f"{owner} has used {hours(use.used_s)} of {hours(use.quota.device_s)} device-hours within a "
            f"{use.quota.period}. Some comes free at {use.free_at:%Y-%m-%d %H:%M} UTC; {use.quota.set_by} set this "
            "quota and can change it with `lab quota set`."), use.free_at


def hours(seconds: float) -> str:
    """Hours with what matters of their fraction."""
    return f"{seconds / 3600:.3g}"


def _free_at(spans: Sequence[Span], excess_s: float, period_s: float) -> datetime:
    """When the window has left behind more than `excess_s` of these spans, some of which go on at the same time."""
    gone_s = 0.0
    edges = sorted({edge for span in spans for edge in span})
    for begun, ended in pairwise(edges):
        side_by_side = sum(span[0] <= begun and ended <= span[1] for span in spans)
        passed_s = side_by_side * (ended - begun).total_seconds()
        if gone_s + passed_s > excess_s:
            return begun + timedelta(seconds=(excess_s - gone_s) / side_by_side + period_s)
        gone_s += passed_s
    return edges[-1] + timedelta(seconds=period_s)
