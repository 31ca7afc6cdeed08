"""Quotas by owner, and the device time that is held against them."""

from __future__ import annotations

import dataclasses

import pytest

from lab.domain.queue import BlockAttempt, Quota
from lab.errors import NotFound
from tests.support import samples
from tests.unit.lab.store.conftest import CAMPAIGN_ID

QUOTA = Quota(owner="ada@host", device_s=3600.5, period="day", set_by="bob@bench:ab12",
              set_utc="2026-05-04T12:00:00.000000Z")


def at(hour):
    return f"2026-05-04T{hour:02}:00:00.000000Z"


def took(store, block_id, begun, ended, **changes):
    values = {"block_id": block_id, "attempt": 1, "campaign_id": CAMPAIGN_ID, "device": "board", "number": 1,
              "state": "done", "expected_ns": None, "queued_utc": at(0), "started_utc": begun, "ended_utc": ended}
    store.queue_attempt(BlockAttempt(**(values | changes)))


def test_a_quota_comes_back_as_set_and_the_last_one_counts(store):
    store.set_quota(QUOTA)
    assert store.quota("ada@host") == QUOTA
    changed = dataclasses.replace(QUOTA, device_s=1.0, period="week")
    store.set_quota(changed)
    assert store.quotas() == (changed,)


def test_nobody_has_one_who_was_not_given_one(store):
    assert (store.quota("ada@host"), store.quotas()) == (None, ())


def test_quotas_are_listed_by_owner(store):
    for owner in ("zoe", "ada", "o'brien; --"):
        store.set_quota(dataclasses.replace(QUOTA, owner=owner))
    assert [quota.owner for quota in store.quotas()] == ["ada", "o'brien; --", "zoe"]


def test_a_removed_quota_is_gone_and_an_unknown_one_names_the_known(store):
    store.set_quota(QUOTA)
    with pytest.raises(NotFound, match="'ada@hsot' has no quota; did you mean 'ada@host'"):
        store.remove_quota("ada@hsot")
    store.remove_quota("ada@host")
    with pytest.raises(NotFound, match="'ada@host' has no quota; there are no quotas yet"):
        store.remove_quota("ada@host")


@pytest.mark.parametrize("period", ["day", "week"])
def test_a_period_has_its_length_in_seconds(period):
    assert dataclasses.replace(QUOTA, period=period).period_s == {"day": 86_400, "week": 604_800}[period]


def test_the_time_of_all_campaigns_of_an_owner_counts_and_of_no_other(filled):
    filled.save_campaign("second", samples.campaign(name="second"), samples.WORKLOAD_SHA256, "")
    filled.save_campaign("others", samples.campaign(name="others", owner="eve"), samples.WORKLOAD_SHA256, "")
    took(filled, "b2", at(4), at(6), campaign_id="second", device="pi")
    took(filled, "b1", at(1), at(3), state="failed")
    took(filled, "b3", at(1), at(9), campaign_id="others")
    assert filled.device_spans("ada@host", at(0)) == ((at(1), at(3)), (at(4), at(6)))
    assert filled.device_spans("eve", at(0)) == ((at(1), at(9)),)
    assert filled.device_spans("nobody", at(0)) == ()


def test_only_what_ended_since_then_is_asked_for_and_what_nobody_timed_counts_nothing(filled):
    took(filled, "b1", at(1), at(3))
    took(filled, "b2", None, at(4), state="cancelled")
    took(filled, "b3", None, None, state="queued")
    assert filled.device_spans("ada@host", at(2)) == ((at(1), at(3)),)
    assert filled.device_spans("ada@host", at(3)) == ()
