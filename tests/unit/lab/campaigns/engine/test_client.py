"""Submitting, cancelling and looking, without anybody who works."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from lab.domain.device import Device
from lab.errors import ConfigError, NotFound
from lab.wiring import queue
from tests.support.campaigns import real_services, small_campaign


def live(engine, campaign_id):
    return [name for _, name, _ in engine.live(campaign_id)]


def test_a_submitted_campaign_waits_in_the_queue(lab_home):
    """Submitting loads no workload and touches no device."""
    with real_services(lab_home) as services, queue.open_engine(services) as engine:
        campaign_id = engine.submit(small_campaign("nothing there"), "text")
        assert live(engine, campaign_id) == ["plan"]
        assert services.store.campaign(campaign_id).state == "queued"
        assert services.store.definition(campaign_id)[1] == "text"


def test_the_same_campaign_submitted_by_many_at_once_is_begun_once(lab_home):
    """One epoch, one call, one id."""
    def submit(_number):
        with real_services(lab_home) as services, queue.open_engine(services) as engine:
            return engine.submit(small_campaign("nothing there"), "")

    with real_services(lab_home):
        pass
    with ThreadPoolExecutor(6) as pool:
        ids = set(pool.map(submit, range(6)))
    with real_services(lab_home) as services, queue.open_engine(services) as engine:
        assert len(ids) == 1
        assert len(engine.live(ids.pop())) == 1


def test_a_cancelled_campaign_leaves_the_queue_and_resumes_in_a_new_epoch(lab_home):
    """Calls of the old epoch do nothing, should one still come."""
    with real_services(lab_home) as services, queue.open_engine(services) as engine:
        campaign_id = engine.submit(small_campaign("nothing there"), "")
        engine.cancel(campaign_id)
        assert live(engine, campaign_id) == []
        assert engine.progress(campaign_id).state == "cancelled"
        before = services.store.campaign(campaign_id).epoch
        engine.resume(campaign_id)
        assert services.store.campaign(campaign_id).epoch == before + 1
        assert live(engine, campaign_id) == ["plan"]


def test_resuming_what_goes_on_changes_nothing(lab_home):
    """Whoever is impatient does no harm."""
    with real_services(lab_home) as services, queue.open_engine(services) as engine:
        campaign_id = engine.submit(small_campaign("nothing there"), "")
        before = engine.live(campaign_id)
        engine.resume(campaign_id)
        assert engine.live(campaign_id) == before


def test_an_unknown_device_or_pool_is_refused_before_anything_is_written(lab_home):
    """The text names what is known."""
    with real_services(lab_home) as services, queue.open_engine(services) as engine:
        with pytest.raises(NotFound, match="nowhere"):
            engine.submit(small_campaign("x", devices=("nowhere",)), "")
        with pytest.raises(ConfigError, match="pool 'pi5' has no devices"):
            engine.submit(small_campaign("x", devices=("pool:pi5",)), "")
        assert services.store.campaigns() == ()


def test_finished_calls_of_a_campaign_that_is_over_are_forgotten(lab_home):
    """Those of one that goes on are not."""
    with real_services(lab_home) as services, queue.open_engine(services) as engine:
        campaign_id = engine.submit(small_campaign("nothing there"), "")
        assert engine.prune(campaign_id) == 0
        engine.cancel(campaign_id)
        assert engine.prune(campaign_id) == 1
        assert engine.prune(campaign_id) == 0


def test_nobody_works_where_nobody_ever_did(lab_home):
    """The roster need not exist to be read."""
    with real_services(lab_home) as services, queue.open_engine(services) as engine:
        assert engine.workers() == ()


def test_a_quarantined_device_of_a_pool_is_replaced_by_an_equal_one(lab_home, tmp_path):
    """Baseline and candidates start again there; the broken device keeps no cell."""
    from tests.support.campaigns import write_pair

    with real_services(lab_home) as services:
        services.store.save_device(Device(name="local", url="local", profile="x86-host", pools=("bench",)))
        services.store.save_device(Device(name="broken", url="ssh://127.0.0.1:9", profile="linux-sbc",
                                          pools=("bench",)))
        services.store.quarantine("local", "to make the other one first")
        campaign = small_campaign(write_pair(tmp_path / "pair"), devices=("pool:bench",))
        progress = queue.run_campaign(services, campaign, "")
        assert progress.state != "done"
        services.store.lift_quarantine("local")
        progress = queue.run_campaign(services, campaign, "")
        rows = services.store.result_rows(campaign=progress.campaign_id)
        assert progress.state == "done"
        assert {row.device for row in rows} == {"local"}
        assert services.store.health("broken").quarantined_utc
