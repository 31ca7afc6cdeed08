"""Calls that cannot be carried out now: kept for later, and no other campaign pays for them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lab.campaigns.calls import Call
from lab.domain.queue import BlockAttempt
from lab.errors import DiskFull, StoreError
from lab.store.connection import utc_now
from lab.wiring import queue
from tests.support.campaigns import real_services, small_campaign, write_pair


@pytest.fixture
def services(lab_home):
    with real_services(lab_home) as made:
        yield made


def test_a_full_disk_keeps_the_call_and_does_not_call_it_done():
    """Out of tries, the call ends as an error and the same one waits in the queue for later."""
    from dbos import error

    from lab.campaigns.engine import workflows

    later = []

    def no_more_tries(_name, _args):
        raise error.DBOSMaxStepRetriesExceeded("decide", 9, [StoreError("the disk is full")])

    with pytest.raises(error.DBOSMaxStepRetriesExceeded):
        workflows._decide_and_follow("ingested", ["c", 1], decide=no_more_tries, follow=later.extend)
    assert [(call["name"], call["args"], call["queue"]) for call in later] == [("ingested", ["c", 1], "control")]
    assert later[0]["id"].endswith(":later")
    assert later[0]["delay_s"] > 0


def manifest(state="done"):
    return {"block_id": "b001-x", "device": "local", "number": 1, "attempt": 1, "state": state, "entries": [],
            "error": None, "fence": 1}


def test_what_comes_late_does_not_change_how_an_attempt_ended(services):
    """A failed attempt stays failed; one that was only queued is done."""
    from lab.campaigns.controller import Controller

    with queue.open_engine(services) as engine:
        campaign_id = engine.submit(small_campaign("x"), "")
    store = services.store
    for number in (1, 2):
        store.queue_attempt(BlockAttempt(block_id=f"b00{number}-x", attempt=1, campaign_id=campaign_id, device="local",
                                         number=number, state="queued", expected_ns=None, queued_utc=utc_now()))
    store.end_attempt("b001-x", 1, "failed", error="link lost")
    before = store.attempts(campaign_id)[0]
    controller = Controller(services)
    controller.collected(campaign_id, manifest(), False)
    controller.collected(campaign_id, {**manifest(), "block_id": "b002-x", "number": 2}, False)
    assert store.attempts(campaign_id)[0] == before
    assert store.attempts(campaign_id)[1].state == "done"


def test_a_defect_in_what_comes_late_does_not_fail_its_campaign(services):
    """The call ends as an error; a campaign that is over stays as it ended."""
    with queue.open_engine(services) as engine:
        campaign_id = engine.submit(small_campaign("x"), "")
        engine.cancel(campaign_id)
        call = Call(name="collected", id=f"{campaign_id}:collected:b:1", queue="control",
                    args=[campaign_id, {"no": "manifest"}, False])
        with queue.work(services):
            engine.enqueue([call])
            handle = engine._client.retrieve_workflow(call.id)
            with pytest.raises(Exception, match="entries"):
                handle.get_result(polling_interval_sec=0.1)
        assert engine.progress(campaign_id).state == "cancelled"


def test_a_compression_that_met_a_full_disk_is_made_again_and_taken(lab_home):
    """The second try's result is another call than the first one's, else it would count as taken already."""
    tries = []

    with real_services(lab_home) as services:
        made = services.compress

        def full_once(*args):
            tries.append(1)
            if len(tries) == 1:
                raise DiskFull("no space left in artifacts")
            return made(*args)

        progress = queue.run_campaign(replace(services, compress=full_once),
                                      small_campaign(write_pair(lab_home / "pair")), "")
    assert (progress.state, len(tries) >= 3) == ("done", True)
