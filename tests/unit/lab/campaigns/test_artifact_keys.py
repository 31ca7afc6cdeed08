"""Equal devices share artifacts: each is made once, whoever comes first, and nobody waits for one that nobody makes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lab.campaigns.artifact_keys import ArtifactKeys
from lab.campaigns.controller import Controller
from lab.campaigns.ids import campaign_id_of
from lab.campaigns.states import CAMPAIGN_ACTIVE
from lab.domain.artifact import Artifact, CompressedModel
from lab.domain.device import Device
from lab.store.codec import to_text
from tests.support.campaigns import INT8, INT8_CHANNELS, real_services, small_campaign, write_pair
from tests.support.samples import facts

DEVICES = ("a", "b", "c")


@pytest.fixture
def services(lab_home):
    with real_services(lab_home) as made:
        for name in DEVICES:
            made.store.save_device(Device(name=name, url="local", profile="x86-host"))
        yield made


@pytest.fixture
def planned(services, lab_home):
    """(controller, campaign id, epoch) of a campaign on three devices of which none has been contacted."""
    campaign = small_campaign(write_pair(lab_home / "pair"), INT8, INT8_CHANNELS, devices=DEVICES)
    campaign_id = campaign_id_of(campaign)
    epoch = services.store.open_epoch(campaign_id, campaign, "", priority=10, active=CAMPAIGN_ACTIVE)
    controller = Controller(services)
    assert len(controller.plan(campaign_id, epoch)) == len(DEVICES)
    return controller, campaign_id, epoch


def contact(planned, device, **changes):
    """The device answers; the calls that follow."""
    controller, campaign_id, epoch = planned
    answer = {"facts": to_text(facts(**changes)), "number": 1}
    return controller.contacted(campaign_id, epoch, device, answer)


def make(planned, call, services):
    """What a compress worker would answer to a call, at the controller."""
    controller, campaign_id, epoch = planned
    sha256 = services.store.artifacts.add_bytes(call.args[2].encode())
    model = CompressedModel(technique="any", seed=0, outcomes=(), artifact=Artifact(
        sha256=sha256, size_bytes=1, format="onnx", opset=13, ir_version=7, parent_sha256=None, step=None,
        parameters=1, macs=1, accuracy_ratio=None, metric=None, compress_ns=1))
    return controller.compressed(campaign_id, epoch, call.args[2], {"model": to_text(model)})


def states(services, campaign_id, device):
    return [state for state, _ in services.store.cell_states(campaign_id, device).values()]


def keys_of(services, campaign_id, device):
    keys = ArtifactKeys(services)
    return [keys.of(cell) for cell in services.store.cells(campaign_id, device)]


def test_a_key_is_the_same_on_equal_devices_and_differs_between_techniques(services, planned):
    _, campaign_id, _ = planned
    contact(planned, "a")
    contact(planned, "b")
    assert keys_of(services, campaign_id, "a") == keys_of(services, campaign_id, "b")
    assert len(set(keys_of(services, campaign_id, "a"))) == 3


def test_a_key_differs_with_the_instructions_of_the_device_and_with_the_seed(services, planned):
    _, campaign_id, _ = planned
    contact(planned, "a")
    contact(planned, "b", isa=("sse2",))
    assert not set(keys_of(services, campaign_id, "a")) & set(keys_of(services, campaign_id, "b"))
    keys, cell = ArtifactKeys(services), services.store.cells(campaign_id, "a")[1]
    assert keys.of(cell) != keys.of(replace(cell, seed=cell.seed + 1))


def test_each_artifact_is_asked_for_once_and_equal_devices_all_get_it(services, planned):
    _, campaign_id, _ = planned
    calls = contact(planned, "a")
    assert [call.name for call in calls] == ["compress"] * 3
    assert contact(planned, "b") == []
    assert states(services, campaign_id, "b") == ["compressing"] * 3
    followed = [call for made in calls for call in make(planned, made, services)]
    assert {call.device for call in followed if call.name == "block"} == {"a", "b"}
    assert set(states(services, campaign_id, "a")) == {"measuring"}


def test_a_device_that_comes_late_takes_what_is_made(services, planned):
    for call in contact(planned, "a"):
        make(planned, call, services)
    calls = contact(planned, "c")
    assert {(call.name, call.device) for call in calls} == {("block", "c")}


def test_a_device_that_is_not_equal_has_its_own_made(services, planned):
    contact(planned, "a")
    assert [call.name for call in contact(planned, "b", isa=("sse2",))] == ["compress"] * 3


@pytest.mark.parametrize("order", [("a", "b"), ("b", "a")])
def test_of_two_that_begin_again_after_a_crash_one_asks(planned, order):
    """Both had noted that they wait, and neither had asked: in whatever order they come again, somebody asks."""
    for name in order:
        contact(planned, name)
    again = [call for name in reversed(order) for call in contact(planned, name)]
    assert len({call.args[2] for call in again if call.name == "compress"}) == 3


def test_a_device_does_not_wait_for_one_that_was_removed(services, planned):
    contact(planned, "a")
    services.store.remove_device("a")
    assert [call.name for call in contact(planned, "b")] == ["compress"] * 3
