"""Who works: beats and their age, under clocks that are wrong, and what ends a line of the roster."""

from __future__ import annotations

import sqlite3
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.campaigns.base import ProgressEvent
from lab.campaigns.engine.database import connect
from lab.campaigns.engine.roster import BEAT_S, DEAD_AFTER_S, Beating, DeadTwice, WorkerLine, workers
from lab.errors import StoreError

HOUR_S = 3600.0
NOW_S = 1.9e9


@pytest.fixture
def engine(tmp_path):
    made = connect(f"sqlite:///{tmp_path / 'engine.db'}")
    yield made
    made.dispose()


@pytest.fixture
def beating(engine):
    """A worker whose clock says NOW_S."""
    made = Beating(engine, "devices-a", ("devices:a",), clock=lambda: NOW_S)
    made.start()
    yield made
    made.stop()


def line(executor_id, age_s):
    return WorkerLine(executor_id=executor_id, roles=(), host="h", pid=1, age_s=age_s, doing={})


def test_nobody_works_where_nobody_ever_did(engine):
    assert workers(engine) == ()


def test_a_worker_is_there_from_its_first_beat_until_it_leaves(engine, beating):
    (found,) = workers(engine, NOW_S + 2.5)
    assert (found.executor_id, found.roles, found.age_s, found.is_alive) == ("devices-a", ("devices:a",), 2.5, True)
    beating.stop()
    assert workers(engine, NOW_S) == ()


def test_what_it_is_doing_is_told_with_a_later_beat(engine, beating):
    beating.note(ProgressEvent(stage="measure", subject="pi", text="block 1"))
    beating.stop()
    again = Beating(engine, "devices-a", ("devices:a",), clock=lambda: NOW_S)
    again.note(ProgressEvent(stage="measure", subject="pi", text="x" * 1000))
    again.start()
    assert workers(engine, NOW_S)[0].doing == {"pi": "x" * 200}
    again.stop()


@pytest.mark.parametrize(("later_s", "is_alive"), [
    (0.0, True), (DEAD_AFTER_S, True), (DEAD_AFTER_S + 0.5, False), (HOUR_S, False), (-0.5, True), (-HOUR_S, True),
])
def test_a_beat_counts_for_half_a_minute_and_one_from_the_future_as_just_come(engine, beating, later_s, is_alive):
    """A clock set back by an hour must not make the living dead."""
    (found,) = workers(engine, NOW_S + later_s)
    assert found.is_alive is is_alive
    assert found.age_s == max(later_s, 0.0)


def test_who_lost_its_name_takes_the_line_of_the_next_one_not_away(engine, tmp_path, beating):
    """A worker that stops because another took over must not make the other look gone."""
    with sqlite3.connect(tmp_path / "engine.db") as connection:
        connection.execute("UPDATE lab_workers SET pid = pid + 1")
    connection.close()
    beating.stop()
    assert [each.executor_id for each in workers(engine, NOW_S)] == ["devices-a"]


def test_a_chore_that_fails_is_done_again_and_ends_no_beat(engine):
    """As while the database restarts: a worker whose beats ended would count as dead for ever."""
    did = []
    twice = threading.Event()

    def chore():
        did.append(len(did))
        if len(did) == 2:
            twice.set()
        raise StoreError("away")

    beating = Beating(engine, "controller", ("controller",), chore)
    beating.start()
    while not twice.wait(0.05):
        beating.note(ProgressEvent(stage="measure", subject="x", text="y"))
    beating.stop()
    assert len(did) >= 2


def test_a_worker_is_dead_when_it_was_so_before(engine):
    dead = DeadTwice()
    assert dead.among([line("a", HOUR_S), line("b", 1.0)]) == ()
    assert dead.among([line("a", HOUR_S), line("b", HOUR_S)]) == ("a",)
    assert dead.among([line("a", 0.0), line("b", HOUR_S)]) == ("b",)
    assert dead.among([]) == ()
    assert dead.among([line("b", HOUR_S)]) == ()


LOOKS_S = 10.0
"""Between two looks of the controller, which is longer than between two beats."""


@given(jumps=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=12))
def test_no_clock_makes_a_worker_dead_that_beats(jumps):
    """The clock that workers and controller share jumps before every other look, just after a beat."""
    assert BEAT_S < LOOKS_S
    dead, clock_s, beat_s = DeadTwice(), 0.0, 0.0
    for at, jump_s in enumerate(jumps):
        clock_s += LOOKS_S
        beat_s = clock_s - BEAT_S / 2  # it has beaten since the last look
        if at % 2:
            clock_s += jump_s  # and then somebody set the clock
        assert dead.among([line("a", max(clock_s - beat_s, 0.0))]) == ()


@given(dead_for=st.integers(2, 6))
def test_a_worker_that_does_not_beat_any_more_is_found(dead_for):
    dead = DeadTwice()
    told = [dead.among([line("a", at * LOOKS_S)]) for at in range(dead_for + 4)]
    assert told[:5] == [()] * 5
    assert told[5:] == [("a",)] * (dead_for - 1)
