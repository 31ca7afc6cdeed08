"""How much of a quota is used, and when some of it comes free: the window moves with the clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.campaigns.quotas import quota_use, why_not_now
from lab.domain.queue import Quota
from lab.store.connection import utc_text

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Times:
    """A store of which only spans and one quota are asked: (hours before NOW, hours long)."""

    def __init__(self, spans, quota=None):
        self._spans = [(NOW - ago * HOUR, NOW - ago * HOUR + length * HOUR) for ago, length in spans]
        self._quota = quota

    def device_spans(self, owner, since_utc):
        assert owner == "ada"
        return tuple((utc_text(begun), utc_text(ended)) for begun, ended in self._spans if utc_text(ended) > since_utc)

    def quota(self, owner):
        return self._quota if self._quota and owner == self._quota.owner else None


def quota_of(hours, period="day"):
    return Quota(owner="ada", device_s=hours * 3600.0, period=period, set_by="bob@bench", set_utc=utc_text(NOW))


def use(hours, spans, now=NOW, period="day"):
    return quota_use(quota_of(hours, period), Times(spans), now)


@pytest.mark.parametrize(("spans", "used"), [
    ([], 0), ([(3, 1)], 1), ([(3, 1), (3, 1)], 2),  # two devices at once
    ([(24.5, 1)], 0.5), ([(30, 2)], 0),  # only what lies within the day
    ([(0.5, 1)], 0.5), ([(-1, 1)], 0),  # a clock that was set back
])
def test_what_counts_is_device_time_within_the_period(spans, used):
    assert use(100, spans).used_s == pytest.approx(3600 * used)


def test_a_week_is_seven_days():
    assert use(1, [(100, 1)]).used_s == 0
    assert use(1, [(100, 1)], period="week").used_s == 3600
    assert use(1, [(100, 1)], period="week").free_at == NOW - 100 * HOUR + 168 * HOUR


@pytest.mark.parametrize(("hours", "spans", "free_in"), [
    (1, [(3, 1)], 21), (0.5, [(3, 1)], 21.5),  # the first half hour must have left the window
    (1, [(5, 1), (3, 1)], 21), (0.5, [(5, 1), (3, 1)], 21.5),  # over a gap
    (1, [(3, 1), (3, 1)], 21.5), (3, [(3, 2), (2, 2)], 21 + 1),  # side by side it goes twice as fast
])
def test_time_comes_free_when_the_earliest_that_is_too_much_has_left_the_window(hours, spans, free_in):
    """A quota of which not a second is left counts as used up."""
    free_at = use(hours, spans).free_at
    assert free_at - NOW == pytest.approx(free_in * HOUR, abs=timedelta(seconds=1))


SPANS = st.lists(st.tuples(st.integers(-5, 2000), st.integers(1, 300)), max_size=12)


@given(spans=SPANS, minutes=st.integers(1, 3000))
def test_it_is_free_just_after_that_and_not_just_before(spans, minutes):
    """However blocks overlap, on however many devices."""
    inside = [(ago / 60, length / 60) for ago, length in spans if ago >= length]  # ended by now
    found = use(minutes / 60, inside)
    assert found.is_used_up == (found.used_s >= found.quota.device_s)
    if not found.is_used_up:
        return
    assert found.free_at >= NOW
    second = timedelta(seconds=1)
    assert not use(minutes / 60, inside, found.free_at + second).is_used_up
    if found.free_at - second > NOW:
        assert use(minutes / 60, inside, found.free_at - second).is_used_up


def test_the_reason_says_how_much_of_what_until_when_and_whom_to_ask():
    text, free_at = why_not_now("ada", Times([(3, 1), (5, 0.25)], quota_of(1.25)), NOW)
    assert text == ("ada has used 1.25 of 1.25 device-hours within a day. Some comes free at 2026-05-05 07:00 UTC; "
                    "bob@bench set this quota and can change it with `lab quota set`.")
    assert free_at == datetime(2026, 5, 5, 7, 0, tzinfo=UTC)


def test_nobody_waits_without_a_quota_or_within_it():
    assert why_not_now("ada", Times([(3, 3)]), NOW) is None
    assert why_not_now("eve", Times([(3, 3)], quota_of(1)), NOW) is None
    assert why_not_now("ada", Times([(3, 1)], quota_of(2)), NOW) is None
