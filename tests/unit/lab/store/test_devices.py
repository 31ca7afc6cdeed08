"""Registered devices and their facts."""

import dataclasses

import pytest

from lab.domain.device import ChannelFacts, Device
from lab.errors import NotFound
from tests.support import samples


def test_a_device_comes_back_as_saved(store):
    device = Device(name="pi", url="ssh://pi@host:2222", profile="raspberry-pi-4", python="/usr/bin/python3")
    store.save_device(device)
    assert store.device("pi") == device


@pytest.mark.parametrize("reboot", [None, "sudo -n systemctl reboot", "sh -c 'echo \"b\" > /proc/sysrq-trigger'"])
def test_a_device_keeps_how_it_is_rebooted(store, reboot):
    store.save_device(dataclasses.replace(samples.DEVICE, reboot=reboot))
    assert store.device("board").reboot == reboot
    store.save_device(samples.DEVICE)
    assert store.device("board").reboot is None


def test_a_device_keeps_where_it_hangs_its_pools_and_its_power(store):
    device = dataclasses.replace(samples.DEVICE, agent_host="bench-2", pools=("pi4", "quiet room"),
                                 power=(("kind", "shelly"), ("url", "http://plug.example/?a=1&b='2'")))
    store.save_device(device)
    assert store.device("board") == device
    store.save_device(samples.DEVICE)
    assert store.device("board") == samples.DEVICE


def test_the_devices_of_a_pool_are_those_that_name_it(store):
    for name, pools in (("zoe", ("pi4", "all")), ("ada", ("all",)), ("bob", ()), ("eve", ("pi",))):
        store.save_device(dataclasses.replace(samples.DEVICE, name=name, pools=pools))
    assert [device.name for device in store.devices("all")] == ["zoe", "ada"]
    assert [device.name for device in store.devices(pool="pi")] == ["eve"]
    assert store.devices("nobody") == ()
    assert len(store.devices()) == 4


def test_devices_are_listed_in_the_order_added(store):
    for name in ("zoe", "ada"):
        store.save_device(dataclasses.replace(samples.DEVICE, name=name))
    assert [device.name for device in store.devices()] == ["zoe", "ada"]


def test_saving_again_changes_the_device_and_keeps_its_place(store):
    for name in ("zoe", "ada"):
        store.save_device(dataclasses.replace(samples.DEVICE, name=name))
    changed = dataclasses.replace(samples.DEVICE, name="zoe", url="ssh://new")
    store.save_device(changed)
    assert store.devices()[0] == changed


def test_an_unknown_device_names_the_known_and_the_closest(store):
    store.save_device(samples.DEVICE)
    with pytest.raises(NotFound, match=r"no device 'bord'.*'board'"):
        store.device("bord")


def test_an_unknown_device_in_an_empty_lab_says_how_to_add_one(store):
    with pytest.raises(NotFound, match=r"no devices yet.*lab devices add"):
        store.device("pi")


def test_a_removed_device_is_gone_with_its_facts(store):
    store.save_device(samples.DEVICE)
    store.save_facts("board", samples.facts())
    store.remove_device("board")
    assert store.devices() == ()
    store.save_device(samples.DEVICE)
    assert store.facts("board") is None


@pytest.mark.parametrize("call", ["remove_device", "device"])
def test_what_is_not_there_cannot_be_named(store, call):
    with pytest.raises(NotFound):
        getattr(store, call)("pi")


def test_facts_come_back_exactly_with_their_time(store):
    facts = samples.facts(
        channels=(ChannelFacts(probe="rapl", rail="package-0", quantity="energy_j", kind="counter"),),
        unavailable=(("hwmon_power", "absent: no hwmon device"),), model="Board ✓", has_aes=True, memory_bytes=None)
    store.save_device(samples.DEVICE)
    store.save_facts("board", facts)
    found, utc = store.facts("board")
    assert found == facts
    assert utc.endswith("Z")


def test_the_latest_facts_count(store):
    store.save_device(samples.DEVICE)
    store.save_facts("board", samples.facts(kernel="6.1"))
    store.save_facts("board", samples.facts(kernel="6.12"))
    assert store.facts("board")[0].kernel == "6.12"


def test_facts_need_a_device(store):
    with pytest.raises(NotFound):
        store.save_facts("pi", samples.facts())


def test_hostile_text_is_only_text(store):
    name = "x'); DROP TABLE devices; --"
    store.save_device(dataclasses.replace(samples.DEVICE, name=name))
    assert store.device(name).name == name
