"""Attempts at blocks, health of devices, reservations and the audit."""

import dataclasses
import threading

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from lab.domain.queue import BlockAttempt, DeviceHealth
from lab.errors import NotFound, StoreError
from lab.store.store import Store
from tests.support import samples

ID = "c0ffee0123456789"
S = 1_000_000_000
PAST, FUTURE = "2001-01-01T00:00:00.000000Z", "2999-01-01T00:00:00.000000Z"
ENDS = ("done", "failed", "cancelled", "void")


@pytest.fixture
def store(store):
    """Two devices are registered."""
    for name in ("board", "pi"):
        store.save_device(dataclasses.replace(samples.DEVICE, name=name))
    return store


def attempt(**changes):
    values = {"block_id": "block-1", "attempt": 1, "campaign_id": ID, "device": "board", "number": 0,
              "state": "queued", "expected_ns": 90 * S, "queued_utc": "2026-01-01T00:00:00.000000Z"}
    return BlockAttempt(**(values | changes))


def events(store, device=None):
    return [(grant.event, grant.holder, grant.detail) for grant in store.grants(device)]


def test_an_attempt_comes_back_as_queued(filled):
    assert filled.queue_attempt(attempt())
    assert filled.attempts() == (attempt(),)


@pytest.mark.parametrize("changes", [
    {"expected_ns": None}, {"expected_ns": 2**62}, {"state": "failed", "transient": True, "error": "x ✓"},
    {"transient": False, "error_kind": "WorkerDied", "started_utc": PAST, "ended_utc": FUTURE},
])
def test_an_attempt_keeps_every_detail(filled, changes):
    filled.queue_attempt(attempt(**changes))
    (found,) = filled.attempts()
    assert found == attempt(**changes)
    assert type(found.transient) is type(attempt(**changes).transient)


def test_the_same_attempt_again_changes_nothing(filled):
    filled.queue_attempt(attempt())
    filled.end_attempt("block-1", 1, "done")
    before = filled.attempts()
    assert not filled.queue_attempt(attempt(number=7, expected_ns=None))
    assert filled.attempts() == before


def test_of_two_who_queue_the_same_attempt_one_is_first(lab_home, filled):
    news = []
    with Store.open(lab_home) as other:
        threads = [threading.Thread(target=lambda store=store: news.append(store.queue_attempt(attempt())))
                   for store in (filled, other)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(news) == [False, True]
    assert len(filled.attempts()) == 1


def test_an_attempt_needs_a_known_campaign(filled):
    with pytest.raises(StoreError, match="cannot write"):
        filled.queue_attempt(attempt(campaign_id="unknown"))
    assert filled.attempts() == ()


def test_a_failed_attempt_says_why_and_when(filled):
    filled.queue_attempt(attempt())
    filled.end_attempt("block-1", 1, "failed", error="link cut", error_kind="ConnectionLost", transient=True,
                       took_ns=90 * S)
    (found,) = filled.attempts()
    assert PAST < found.started_utc < found.ended_utc < FUTURE
    assert dataclasses.replace(found, started_utc=None, ended_utc=None) == attempt(
        state="failed", error="link cut", error_kind="ConnectionLost", transient=True)


def test_an_end_without_a_start_keeps_the_known_start(filled):
    filled.queue_attempt(attempt(started_utc=PAST))
    filled.end_attempt("block-1", 1, "done")
    assert filled.attempts()[0].started_utc == PAST


def test_what_ended_after_it_was_cancelled_is_done_and_its_error_gone(filled):
    filled.queue_attempt(attempt())
    filled.end_attempt("block-1", 1, "cancelled", error="stopped", error_kind="Stopped", transient=False)
    filled.end_attempt("block-1", 1, "done")
    (found,) = filled.attempts()
    assert (found.state, found.error, found.error_kind, found.transient) == ("done", None, None, None)


def test_the_end_of_an_unknown_attempt_leaves_the_others_alone(filled):
    filled.queue_attempt(attempt())
    filled.end_attempt("block-1", 2, "done")
    filled.end_attempt("block-2", 1, "done")
    assert filled.attempts() == (attempt(),)


def test_attempts_are_listed_as_they_were_queued_and_by_campaign_and_device(filled):
    filled.save_campaign("other", samples.campaign(name="other"), samples.WORKLOAD_SHA256, "")
    late = attempt(block_id="a", queued_utc="2026-01-02T00:00:00.000000Z")
    early = attempt(block_id="z", campaign_id="other")
    elsewhere = attempt(block_id="m", device="pi", queued_utc="2026-01-01T12:00:00.000000Z")
    for each in (late, elsewhere, early):
        filled.queue_attempt(each)
    assert filled.attempts() == (early, elsewhere, late)
    assert filled.attempts(ID) == (elsewhere, late)
    assert filled.attempts(device="board") == (early, late)
    assert filled.attempts(ID, "board") == (late,)
    assert filled.attempts("unknown") == ()


def test_attempts_queued_at_one_instant_have_an_order_all_the_same(filled):
    for each in (attempt(block_id="b"), attempt(block_id="a", attempt=2), attempt(block_id="a")):
        filled.queue_attempt(each)
    assert [(each.block_id, each.attempt) for each in filled.attempts()] == [("a", 1), ("a", 2), ("b", 1)]


def test_a_queued_attempt_is_the_next_one(filled):
    assert filled.next_attempt("block-1") == 1
    filled.queue_attempt(attempt())
    assert filled.next_attempt("block-1") == 1


@pytest.mark.parametrize("state", ENDS)
def test_after_an_ended_attempt_comes_the_next_number(filled, state):
    filled.queue_attempt(attempt())
    filled.end_attempt("block-1", 1, state)
    assert filled.next_attempt("block-1") == 2
    assert filled.next_attempt("block-2") == 1


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(steps=st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["queue", *ENDS])), max_size=12))
def test_numbers_are_never_used_twice_and_leave_no_gap(filled, steps):
    """Whatever is queued and ended in whichever order: at most the latest attempt at a block waits."""
    stamp = f"{len(filled.attempts())}-"  # examples share the store
    for block, step in steps:
        number = filled.next_attempt(stamp + block)
        if step == "queue":
            filled.queue_attempt(attempt(block_id=stamp + block, attempt=number))
        else:
            filled.end_attempt(stamp + block, number, step)
    for block in "ab":
        mine = [each for each in filled.attempts() if each.block_id == stamp + block]
        assert [each.attempt for each in mine] == list(range(1, len(mine) + 1))
        assert all(each.state in ENDS for each in mine[:-1])


def test_a_device_nobody_complained_about_is_well(store):
    assert store.health("board") == DeviceHealth(device="board", failures=0, quarantined_utc=None, reason=None)


def test_failures_count_up_and_a_success_ends_the_row(store):
    assert store.note_failure("board", "no answer").failures == 1
    assert store.note_failure("board", "link cut") == DeviceHealth(device="board", failures=2, reason="link cut")
    store.note_success("board")
    assert store.health("board") == DeviceHealth(device="board")
    assert store.note_failure("board", "again").failures == 1


def test_each_device_has_its_own_row(store):
    store.note_failure("board", "no answer")
    store.note_success("pi")
    assert (store.health("board").failures, store.health("pi")) == (1, DeviceHealth(device="pi"))


def test_a_success_does_not_lift_a_quarantine(store):
    store.note_failure("board", "no answer")
    store.quarantine("board", "3 failures")
    store.note_success("board")
    found = store.health("board")
    assert (found.failures, found.reason) == (0, "3 failures")
    assert found.quarantined_utc is not None


def test_a_failure_in_quarantine_counts_but_leaves_its_reason(store):
    store.quarantine("board", "smells burnt")
    assert (store.note_failure("board", "no answer").failures, store.health("board").reason) == (1, "smells burnt")


def test_a_quarantine_counts_from_its_first_day(store):
    store.quarantine("board", "first")
    since = store.health("board").quarantined_utc
    store.quarantine("board", "second")
    assert store.health("board") == DeviceHealth(device="board", quarantined_utc=since, reason="second")


def test_a_lifted_quarantine_leaves_nothing(store):
    store.note_failure("board", "no answer")
    store.quarantine("board", "3 failures")
    store.quarantine("pi", "dropped")
    store.lift_quarantine("board")
    store.lift_quarantine("board")
    assert store.health("board") == DeviceHealth(device="board")
    assert store.health("pi").reason == "dropped"


def test_a_reservation_says_who_why_and_until_when(store):
    store.reserve("board", "ada", "thermal test", FUTURE)
    found = store.reservation("board")
    assert (found.device, found.holder, found.reason, found.until_utc) == ("board", "ada", "thermal test", FUTURE)
    assert PAST < found.since_utc < FUTURE
    assert store.reservation("pi") is None
    assert events(store) == [("reserved", "ada", "thermal test")]


@pytest.mark.parametrize(("until_utc", "said"), [(FUTURE, FUTURE), (None, "until it is released")])
def test_what_somebody_has_is_refused_with_their_name(store, until_utc, said):
    store.reserve("board", "ada", "thermal test", until_utc)
    before = (store.reservation("board"), store.grants())
    with pytest.raises(StoreError, match=rf"board is reserved by ada \(thermal test\).*{said}.*--kick board"):
        store.reserve("board", "bob", "urgent", None)
    assert (store.reservation("board"), store.grants()) == before


def test_a_holder_may_change_the_end(store):
    store.reserve("board", "ada", "test", FUTURE)
    store.reserve("board", "ada", "longer test", None)
    found = store.reservation("board")
    assert (found.reason, found.until_utc) == ("longer test", None)


def test_an_expired_reservation_is_none_and_may_be_followed(store):
    store.reserve("board", "ada", "test", PAST)
    assert store.reservation("board") is None
    store.reserve("board", "bob", "next", None)
    assert store.reservation("board").holder == "bob"


@pytest.mark.parametrize(("now_utc", "is_held"), [
    ("2026-01-01T11:59:59.999999Z", True), ("2026-01-01T12:00:00.000000Z", False), (FUTURE, False),
])
def test_a_reservation_ends_at_its_instant(store, now_utc, is_held):
    store.reserve("board", "ada", "test", "2026-01-01T12:00:00.000000Z")
    assert (store.reservation("board", now_utc) is not None) == is_held


def test_one_without_an_end_never_expires(store):
    store.reserve("board", "ada", "test", None)
    assert store.reservation("board", FUTURE).holder == "ada"


def test_who_reserved_may_free(store):
    store.reserve("board", "ada", "test", None)
    store.reserve("pi", "ada", "test", None)
    store.free("board", "ada")
    assert store.reservation("board") is None
    assert store.reservation("pi") is not None
    assert events(store, "board")[0] == ("freed", "ada", "ada")


def test_others_may_not_free_but_kick(store):
    store.reserve("board", "ada", "test", None)
    with pytest.raises(StoreError, match=r"board is reserved by ada \(test\), not by bob"):
        store.free("board", "bob")
    assert store.reservation("board").holder == "ada"
    store.free("board", "bob", kick=True)
    assert store.reservation("board") is None
    assert events(store)[0] == ("kicked", "bob", "ada")


@pytest.mark.parametrize("until_utc", [PAST, "nothing reserved"])
def test_freeing_what_nobody_has_is_no_event(store, until_utc):
    if until_utc == PAST:
        store.reserve("board", "ada", "test", PAST)
    before = store.grants()
    store.free("board", "bob")
    assert store.grants() == before
    assert store.reservation("board", "1999-01-01T00:00:00.000000Z") is None


def test_of_two_who_reserve_at_once_one_gets_it(lab_home, store):
    said = []

    def reserve(who, own):
        try:
            own.reserve("board", who, "test", None)
        except StoreError:
            said.append(who)

    with Store.open(lab_home) as other:
        threads = [threading.Thread(target=reserve, args=args) for args in (("ada", store), ("bob", other))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(said) == 1
    assert {store.reservation("board").holder, *said} == {"ada", "bob"}
    assert [event for event, _, _ in events(store)] == ["reserved"]


def test_a_reservation_and_its_line_come_together_or_not_at_all(store):
    def break_off():
        with store._transaction():
            store.reserve("board", "ada", "test", None)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        break_off()
    assert (store.reservation("board"), store.grants()) == (None, ())


def test_the_audit_grows_and_shows_the_newest_first(store):
    store.note_grant("board", "granted", "c1", 7, "block-1")
    store.note_grant("pi", "quarantined", "lab", None, "3 failures")
    store.note_grant("board", "released", "c1", 7, "block-1")
    assert [grant.id for grant in store.grants()] == [3, 2, 1]
    (latest, first) = store.grants("board")
    assert (first.event, first.holder, first.fence, first.detail) == ("granted", "c1", 7, "block-1")
    assert latest.utc >= first.utc
    assert store.grants("pi")[0].fence is None


def test_the_audit_has_what_a_lease_did_once_and_what_people_did_as_often_as_they_did_it(store):
    """A step that is repeated after a crash says the same once more; a device that forgot its leases says it anew."""
    began = "2026-01-01T00:00:00.000000Z"
    for _ in range(2):
        store.note_grant("board", "granted", "c1", 7, "block-1", began)
        store.note_grant("board", "kicked", "ada", None, "by hand")
    store.note_grant("board", "granted", "c1", 7, "block-2")
    seen = [(grant.event, grant.detail) for grant in reversed(store.grants("board"))]
    assert seen == [("granted", "block-1"), ("kicked", "by hand"), ("kicked", "by hand"), ("granted", "block-2")]
    assert store.grants("board")[-1].utc == began


def test_the_audit_shows_no_more_than_wanted(store):
    for number in range(5):
        store.note_grant("board", "granted", "c1", number, "")
    assert [grant.fence for grant in store.grants(limit=2)] == [4, 3]
    assert len(store.grants()) == 5


@pytest.mark.parametrize("act", [
    lambda store: store.reserve("bord", "ada", "test", None),
    lambda store: store.quarantine("bord", "smells burnt"),
    lambda store: store.note_failure("bord", "no answer"),
])
def test_a_name_that_no_device_has_is_refused_and_leaves_nothing(store, act):
    """A slip of the pen must not keep a device that is added later under that name."""
    with pytest.raises(NotFound, match=r"no device 'bord'.*'board'"):
        act(store)
    assert (store.reservation("bord"), store.health("bord")) == (None, DeviceHealth(device="bord"))
    assert store.grants() == ()


def test_a_device_that_is_added_again_is_neither_quarantined_nor_reserved(store):
    for name in ("board", "pi"):
        store.reserve(name, "ada", "test", None)
        store.quarantine(name, "smells burnt")
    store.remove_device("board")
    store.save_device(samples.DEVICE)
    assert (store.reservation("board"), store.health("board")) == (None, DeviceHealth(device="board"))
    assert (store.reservation("pi").holder, store.health("pi").reason) == ("ada", "smells burnt")
    assert events(store, "board") == [("reserved", "ada", "test")], "the audit stays"


def test_hostile_names_are_only_text(store):
    name = "x'); DROP TABLE grants; --"
    store.save_device(dataclasses.replace(samples.DEVICE, name=name))
    store.reserve(name, name, name, None)
    store.note_failure(name, name)
    assert (store.reservation(name).holder, store.health(name).reason) == (name, name)
    assert events(store, name) == [("reserved", name, name)]


def test_a_reader_sees_the_queue_and_changes_nothing(lab_home, filled):
    filled.queue_attempt(attempt())
    with Store.open(lab_home, read_only=True) as reader:
        assert reader.attempts() == (attempt(),)
        with pytest.raises(StoreError, match="readonly"):
            reader.reserve("board", "ada", "test", None)
    assert filled.reservation("board") is None
