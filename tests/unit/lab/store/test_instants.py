"""A campaign's times never go backwards, whatever the clock of this machine does."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lab.domain.queue import BlockAttempt
from lab.store.connection import utc_now, utc_text
from lab.store.instants import before
from lab.store.store import Store
from tests.support import samples

ID = "c0ffee0123456789"
NOON = "2030-01-01T12:00:00.000000Z"
S = 10**9
INSTANTS = st.integers(0, 4_000_000_000).map(lambda second: datetime.fromtimestamp(second, UTC))


class Clock:
    """A clock that a test sets; it stands still in between."""

    def __init__(self, utc=NOON):
        self.utc = utc

    def __call__(self):
        return self.utc


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def store(lab_home, clock):
    with Store.open(lab_home, clock=clock) as opened:
        opened.save_device(samples.DEVICE)
        for campaign_id in (ID, "other"):
            opened.save_campaign(campaign_id, samples.campaign(name=campaign_id), samples.WORKLOAD_SHA256, "")
        yield opened


def end(store, block_id, took_ns=None, campaign_id=ID):
    """One attempt at a block, from queue to end."""
    store.queue_attempt(BlockAttempt(block_id=block_id, attempt=1, campaign_id=campaign_id, device="board", number=0,
                                     state="queued", expected_ns=None, queued_utc=NOON))
    store.end_attempt(block_id, 1, "done", took_ns=took_ns)
    return next(each for each in store.attempts() if each.block_id == block_id)


def note(store, kind="x", campaign_id=ID):
    store.record_failure(campaign_id, None, None, "campaign", kind, "said")
    return store.events(campaign_id)[-1].utc


def test_what_comes_first_has_the_clocks_time(store):
    assert note(store) == NOON
    assert end(store, "a", campaign_id="other").ended_utc == NOON


def test_a_clock_that_stands_still_tells_apart_what_followed(store):
    times = [note(store), end(store, "a").ended_utc, note(store)]
    assert times == [NOON, "2030-01-01T12:00:00.000001Z", "2030-01-01T12:00:00.000002Z"]


def test_a_clock_that_goes_on_is_believed(store, clock):
    note(store)
    clock.utc = "2030-01-01T12:00:00.000001Z"
    assert note(store) == clock.utc


def test_other_campaigns_are_left_alone(store, clock):
    """One campaign's wrong clock must not spoil the times of all that follow."""
    clock.utc = "2099-01-01T00:00:00.000000Z"
    note(store)
    clock.utc = NOON
    assert note(store, campaign_id="other") == NOON


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(steps=st.lists(st.tuples(INSTANTS, st.booleans()), max_size=8))
def test_times_grow_in_the_order_of_what_happened(store, clock, steps):
    """Events and ends of blocks, mixed, under a clock that jumps anywhere; how long a block took stays true."""
    seen = []
    for number, (instant, is_block) in enumerate(steps):
        clock.utc = utc_text(instant)
        if is_block:
            ended = end(store, f"{len(store.attempts())}", took_ns=number * S)
            assert before(ended.ended_utc, number * S) == ended.started_utc
            seen.append(ended.ended_utc)
        else:
            seen.append(note(store))
    assert seen == sorted(set(seen))


@given(INSTANTS, st.integers(-365 * 86_400 * S, 365 * 86_400 * S))
def test_before_is_undone_by_after(instant, nanoseconds):
    """To the microsecond, which is as fine as times are kept."""
    utc = utc_text(instant)
    back = before(before(utc, nanoseconds), -nanoseconds)
    assert abs((datetime.fromisoformat(back) - datetime.fromisoformat(utc)).total_seconds()) <= 1e-6


def test_the_clock_of_reservations_is_the_stores(store, clock):
    """An end in the past of this clock is over, one in its future is not."""
    store.reserve("board", "ada", "test", "2030-01-01T13:00:00.000000Z")
    assert store.reservation("board").since_utc == NOON
    clock.utc = "2030-01-01T13:00:00.000000Z"
    assert store.reservation("board") is None
    clock.utc = NOON
    assert store.reservation("board").holder == "ada", "a clock set back gives the rest of the time back"


def test_without_a_clock_it_is_this_machines(lab_home):
    with Store.open(lab_home) as opened:
        opened.save_campaign(ID, samples.campaign(), samples.WORKLOAD_SHA256, "")
        begun = utc_now()
        assert begun <= note(opened) <= utc_now()
