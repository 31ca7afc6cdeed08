"""What follows a failure: whose fault it was decides."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from lab.campaigns.calls import Call
from lab.campaigns.recovery import error_outcome, outcome_from_json
from lab.campaigns.setbacks import QUOTA_PAUSE_MAX_S, RESERVED_PAUSE_S, after_failed_device, kept_back
from lab.campaigns.standing import WorkerSeen, standing
from lab.domain.device import Device
from lab.domain.queue import BlockAttempt, Quota
from lab.errors import AuthFailed, ConnectFailed, DeviceBusy, StoreError
from lab.store.connection import utc_text
from lab.wiring import queue
from tests.support import samples
from tests.support.campaigns import real_services, small_campaign

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
SWITCH = (("kind", "command"), ("on", "true"), ("off", "true"))


@pytest.fixture
def services(lab_home):
    with real_services(lab_home) as made:
        yield made


def after(services, error, power=(), reboot=None):
    """The calls that follow one failure of the local device."""
    services.store.save_device(Device(name="local", url="local", profile="x86-host", power=power, reboot=reboot))
    with queue.open_engine(services) as engine:
        campaign_id = engine.submit(small_campaign("x"), "")
    again = Call(name="block", id="again", queue="device", device="local")
    outcome = outcome_from_json(error_outcome(error))
    return after_failed_device(campaign_id, "local", [], "measure", outcome, again, services)


def away():
    """Shared files that cannot be reached."""
    error = StoreError("the shared files are out of reach")
    error.transient = True
    return error


@pytest.mark.parametrize("error", [DeviceBusy("leased to somebody"), away()], ids=["busy", "files away"])
def test_a_device_is_not_blamed_for_what_others_do(services, error):
    """However often: it is asked again a little later, and never quarantined."""
    for _ in range(6):
        calls = after(services, error)
        assert [(call.id, call.delay_s > 0) for call in calls] == [("again", True)]
    assert services.store.health("local").failures == 0
    assert services.store.health("local").quarantined_utc is None


def test_the_third_failure_in_a_row_sets_a_device_aside(services):
    """With the last reason; nothing more is sent there."""
    assert [len(after(services, ConnectFailed("nobody there"))) for _ in range(3)] == [1, 1, 0]
    health = services.store.health("local")
    assert health.quarantined_utc
    assert "3 failures in a row, the last one: nobody there" in health.reason
    assert services.store.grants("local")[0].event == "quarantined"


def test_a_device_whose_power_can_be_switched_gets_one_more_chance(services):
    """Off and on between the third failure and the last try."""
    rungs = [[call.name for call in after(services, ConnectFailed("nobody there"), SWITCH)] for _ in range(4)]
    assert rungs == [["block"], ["block"], ["action", "block"], []]


def test_a_device_that_can_do_both_is_rebooted_first_and_then_loses_its_power(services):
    """Each once, by the worker beside it, before everything else that waits; then time to come up again."""
    calls = [after(services, ConnectFailed("nobody there"), SWITCH, "reboot now") for _ in range(5)]
    assert [[call.args[0] for call in rung if call.name == "action"] for rung in calls] == [
        [], [], ["reboot"], ["power"], []]
    for rung in calls[2:4]:
        action, again = rung
        assert (action.queue, action.device, action.priority, action.delay_s) == ("device", "local", 1, 0.0)
        assert (again.id, again.delay_s >= 45) == ("again", True)
    assert calls[2][0].id != calls[3][0].id
    audit = [grant.detail.split(" after")[0] for grant in services.store.grants("local")]
    assert audit[1:] == ["power cycle", "reboot"]
    assert services.store.health("local").quarantined_utc


def test_a_device_that_can_only_reboot_is_set_aside_after_that(services):
    """One more chance, no two."""
    rungs = [[call.name for call in after(services, ConnectFailed("nobody there"), (), "reboot")] for _ in range(4)]
    assert rungs == [["block"], ["block"], ["action", "block"], []]


def test_what_no_try_can_help_ends_at_once_and_is_no_quarantine(services):
    """A refused login is for a person to mend."""
    assert after(services, AuthFailed("refused")) == []
    assert services.store.health("local").quarantined_utc is None


@pytest.fixture
def filled(services):
    """A campaign of ada@host with two cells on `board`, which took an hour of it until one o'clock at night."""
    store = services.store
    store.save_device(samples.DEVICE)
    store.save_campaign("camp", samples.campaign(), samples.WORKLOAD_SHA256, "")
    store.save_cells("camp", [samples.cell(), samples.cell(samples.INT8)])
    store.queue_attempt(BlockAttempt(
        block_id="b1", attempt=1, campaign_id="camp", device="board", number=1, state="done", expected_ns=None,
        queued_utc="2026-05-04T00:00:00.000000Z", started_utc="2026-05-04T00:00:00.000000Z",
        ended_utc="2026-05-04T01:00:00.000000Z"))
    return services


def give(services, hours, owner="ada@host"):
    services.store.set_quota(Quota(owner=owner, device_s=hours * 3600.0, period="day", set_by="bob@bench",
                                   set_utc=utc_text(NOW)))


def look(services, now=NOW):
    return kept_back("camp", 1, "board", services.store.cells("camp"), services, now)


def test_who_has_used_up_a_quota_waits_and_is_told_why_and_how_long(filled):
    """As for a reservation with an end: looked at again later; and the reason is what people see."""
    give(filled, 0.5)
    (call,) = look(filled)
    assert (call.name, call.args, call.queue) == ("advance", ["camp", 1, "board"], "control")
    assert call.delay_s == QUOTA_PAUSE_MAX_S
    reason = ("ada@host has used 1 of 0.5 device-hours within a day. Some comes free at 2026-05-05 00:30 UTC; "
              "bob@bench set this quota and can change it with `lab quota set`.")
    assert set(filled.store.cell_states("camp").values()) == {("waiting", reason)}
    worker = WorkerSeen(roles=("devices:controller",), is_alive=True, doing={})
    (seen,) = standing("camp", [worker], filled).devices
    assert (seen.state, seen.text.split(" has")[0]) == ("waiting", "ada@host")


@pytest.mark.parametrize("hours", [1.5, 24])
def test_who_has_not_used_it_up_goes_on(filled, hours):
    give(filled, hours)
    give(filled, 0.001, owner="somebody else")
    assert look(filled) is None
    assert {state for state, _ in filled.store.cell_states("camp").values()} == {"pending"}


def test_time_comes_free_as_the_day_moves_on(filled):
    """Just before it is looked at soon, after it the device measures again."""
    give(filled, 0.5)
    (call,) = look(filled, datetime(2026, 5, 5, 0, 29, 50, tzinfo=UTC))
    assert call.delay_s == RESERVED_PAUSE_S
    assert look(filled, datetime(2026, 5, 5, 0, 30, 1, tzinfo=UTC)) is None


def test_a_quarantine_and_a_reservation_are_said_before_a_quota(filled):
    """Whoever is next in line cannot help what the first one waits for."""
    give(filled, 0.5)
    filled.store.reserve("board", "eve", "soldering", utc_text(NOW + timedelta(hours=1)))
    (call,) = look(filled)
    assert "reserved" in call.id
    filled.store.quarantine("board", "smoke")
    assert look(filled) == []
    assert {state for state, _ in filled.store.cell_states("camp").values()} == {"held"}
