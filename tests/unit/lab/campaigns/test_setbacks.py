"""What follows a failure: whose fault it was decides."""

from __future__ import annotations

import pytest

from lab.campaigns.calls import Call
from lab.campaigns.recovery import error_outcome, outcome_from_json
from lab.campaigns.setbacks import after_failed_device
from lab.domain.device import Device
from lab.errors import AuthFailed, ConnectFailed, DeviceBusy, StoreError
from lab.wiring import queue
from tests.support.campaigns import real_services, small_campaign


@pytest.fixture
def services(lab_home):
    with real_services(lab_home) as made:
        yield made


def after(services, error, power=()):
    """The calls that follow one failure of the local device."""
    services.store.save_device(Device(name="local", url="local", profile="x86-host", power=power))
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
    switch = (("kind", "command"), ("on", "true"), ("off", "true"))
    rungs = [[call.name for call in after(services, ConnectFailed("nobody there"), switch)] for _ in range(4)]
    assert rungs == [["block"], ["block"], ["action", "block"], []]


def test_what_no_try_can_help_ends_at_once_and_is_no_quarantine(services):
    """A refused login is for a person to mend."""
    assert after(services, AuthFailed("refused")) == []
    assert services.store.health("local").quarantined_utc is None
