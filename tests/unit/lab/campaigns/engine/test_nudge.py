"""Calls are taken at once where this process enqueued them or ended the one before, and once only."""

from __future__ import annotations

import sqlite3
import threading

import pytest

from lab.campaigns.engine import nudge
from lab.campaigns.engine.nudge import Nudger
from lab.wiring import queue
from tests.support.campaigns import real_services, small_campaign, write_pair

SOON_S = 20.0


class Taking:
    """Counts what is taken, and says when so much was."""

    def __init__(self, fail_first=False):
        self.taken = []
        self.running = set()
        self.rung = []
        self._fail = fail_first
        self._changed = threading.Condition()

    def take(self, name):
        with self._changed:
            self.taken.append((name, frozenset(self.running)))
            self._changed.notify_all()
        if self._fail:
            self._fail = False
            raise OSError("the database is away")

    def wait(self, count):
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.taken) >= count, SOON_S), self.taken
        return [name for name, _ in self.taken]


@pytest.fixture
def made():
    """Makes nudgers, and stops them in the end."""
    nudgers = []

    def make(taking, *queues):
        nudgers.append(Nudger(queues, taking.take, lambda call: call in taking.running, taking.rung.append))
        nudgers[-1].start()
        return nudgers[-1]

    yield make
    for nudger in nudgers:
        nudger.stop()


def test_every_queue_is_looked_at_in_the_beginning(made):
    taking = Taking()
    made(taking, "control", "campaigns")
    assert taking.wait(2) == ["campaigns", "control"]


def test_queues_of_other_processes_are_told_and_not_looked_at(made):
    taking = Taking()
    made(taking, "control")
    taking.wait(1)
    nudge.wake(["compress", "dev.elsewhere"])
    nudge.wake(["compress", "control"])
    nudge.wake(["control"])
    assert taking.wait(3) == ["control"] * 3
    assert taking.rung == ["compress", "dev.elsewhere", "compress"]


def test_what_waits_behind_a_call_is_looked_at_when_that_has_ended(made):
    taking = Taking()
    nudger = made(taking, "control")
    taking.wait(1)
    taking.running.add("block")
    nudger.wake(["control"], "block")
    taking.running.clear()
    taking.wait(2)
    assert taking.taken[1] == ("control", frozenset())


def test_a_nudge_that_fails_does_not_end_the_others(made):
    taking = Taking(fail_first=True)
    nudger = made(taking, "control")
    taking.wait(1)
    nudger.wake(["control"])
    assert taking.wait(2) == ["control", "control"]


def test_nothing_is_nudged_after_the_end(made):
    taking = Taking()
    nudger = made(taking, "control")
    taking.wait(1)
    nudger.stop()
    nudge.wake(["control"])
    assert taking.wait(1) == ["control"]


def test_a_campaign_comes_to_its_end_by_nudges_alone(lab_home):
    """With polls an hour apart: one that was not nudged would wait for ever."""
    with real_services(lab_home) as services, queue.open_engine(services) as engine, queue.work(services):
        with sqlite3.connect(lab_home / "engine.db", timeout=30.0) as database:
            assert database.execute("UPDATE queues SET polling_interval_sec = 3600").rowcount
        database.close()
        campaign_id = engine.submit(small_campaign(write_pair(lab_home / "pair")), "")
        queue.see_through(services, engine, campaign_id)
        assert engine.progress(campaign_id).state == "done"
