"""Pools: which device measures, who is kept, and when another one may take over."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.campaigns.pools import _match, may_move, members, resolve, usable
from lab.domain.queue import BlockAttempt
from lab.errors import ConfigError
from lab.store.store import Store
from tests.support import samples

ID = "c0ffee0123456789"
PAST, FUTURE = "2001-01-01T00:00:00.000000Z", "2999-01-01T00:00:00.000000Z"


@pytest.fixture
def store(lab_home):
    """Three boards in pool pi, the last of them in pool big too, and one in none."""
    with Store.open(lab_home) as opened:
        for name, pools in (("a", ("pi",)), ("b", ("pi",)), ("c", ("pi", "big")), ("lone", ())):
            opened.save_device(replace(samples.DEVICE, name=name, pools=pools))
        yield opened


def campaign(*devices):
    return samples.campaign(devices=devices)


def chosen(store, *devices):
    return resolve(ID, campaign(*devices), store).devices


def measures_on(store, *devices):
    """Make these the devices that measure for the campaign already."""
    store.save_campaign(ID, samples.campaign(), samples.WORKLOAD_SHA256, "")
    store.save_cells(ID, [samples.cell(device=name) for name in devices])


def queue(store, device, count, state="queued"):
    store.save_campaign("other", samples.campaign(name="other"), samples.WORKLOAD_SHA256, "")
    for number in range(count):
        store.queue_attempt(BlockAttempt(block_id=f"{device}-{number}", attempt=1, campaign_id="other", device=device,
                                         number=number, state=state, expected_ns=None, queued_utc=PAST))


class TestMembers:
    def test_they_are_the_devices_that_name_the_pool(self, store):
        assert [device.name for device in members("pool:pi", store)] == ["a", "b", "c"]
        assert [device.name for device in members("pool:big", store)] == ["c"]

    def test_a_pool_nobody_is_in_names_those_there_are(self, store):
        with pytest.raises(ConfigError, match=r"pool 'pine' has no devices \(known pools: big, pi\).*--pool pine"):
            members("pool:pine", store)

    def test_a_lab_without_pools_says_so(self, lab_home):
        with Store.open(lab_home) as empty, pytest.raises(ConfigError, match=r"known pools: none"):
            members("pool:pi", empty)

    def test_the_beginning_of_a_name_is_not_the_name(self, store):
        with pytest.raises(ConfigError, match="pool 'p' has no devices"):
            members("pool:p", store)


class TestUsable:
    def test_those_set_aside_or_reserved_are_not(self, store):
        store.quarantine("a", "smells burnt")
        store.reserve("b", "ada", "soldering", FUTURE)
        assert [device.name for device in usable("pool:pi", store)] == ["c"]

    def test_those_that_failed_or_whose_reservation_is_over_are(self, store):
        store.note_failure("a", "no answer")
        store.reserve("b", "ada", "soldering", PAST)
        assert [device.name for device in usable("pool:pi", store)] == ["a", "b", "c"]

    def test_an_empty_pool_has_none(self, store):
        assert usable("pool:pine", store) == ()


class TestResolve:
    def test_a_campaign_without_pools_is_left_alone(self, store):
        """Also one whose device nobody knows: that is for others to say."""
        given_campaign = campaign("lone", "nobody")
        assert resolve(ID, given_campaign, store) is given_campaign

    def test_a_pool_becomes_one_of_its_devices(self, store):
        assert chosen(store, "pool:pi") == ("a",)
        assert chosen(store, "pool:big") == ("c",)

    def test_only_the_devices_change(self, store):
        before = campaign("pool:pi")
        assert replace(resolve(ID, before, store), devices=before.devices) == before

    def test_named_devices_come_first_and_are_not_taken_twice(self, store):
        assert chosen(store, "pool:pi", "lone") == ("lone", "a")
        assert chosen(store, "pool:pi", "a") == ("a", "b")

    def test_a_pool_named_twice_gives_two_devices(self, store):
        assert chosen(store, "pool:pi", "pool:pi") == ("a", "b")

    def test_the_device_with_the_least_waiting_work_is_taken(self, store):
        queue(store, "a", 2)
        queue(store, "b", 1)
        queue(store, "c", 3, state="done")
        assert chosen(store, "pool:pi") == ("c",)

    def test_the_device_that_measures_already_is_kept_however_much_waits(self, store):
        measures_on(store, "b")
        queue(store, "b", 9)
        assert chosen(store, "pool:pi") == ("b",)

    def test_a_device_that_may_not_be_used_is_not_kept(self, store):
        measures_on(store, "b")
        store.quarantine("b", "smells burnt")
        assert chosen(store, "pool:pi") == ("a",)

    def test_a_small_pool_gets_its_device_though_a_big_one_came_first(self, store):
        """Whoever can do without it gives it up."""
        measures_on(store, "c")
        assert chosen(store, "pool:pi", "pool:big") == ("a", "c")

    def test_asked_again_it_chooses_the_same(self, store):
        first = chosen(store, "pool:pi", "pool:pi", "pool:big")
        measures_on(store, *first)
        queue(store, first[0], 5)
        assert set(chosen(store, "pool:pi", "pool:pi", "pool:big")) == set(first)

    def test_a_pool_without_a_device_left_says_why_of_each(self, store):
        store.quarantine("a", "3 failures in a row")
        store.reserve("b", "ada", "soldering", None)
        with pytest.raises(ConfigError, match=r"no device of pool:pi is left: a \(quarantined: 3 failures in a row\), "
                                              r"b \(reserved by ada: soldering\), c \(measures for this campaign "
                                              r"already\)\. Release one.*lab campaigns resume"):
            chosen(store, "c", "pool:pi")

    def test_a_device_that_only_failed_once_is_not_said_to_be_set_aside(self, store):
        store.note_failure("c", "no answer")
        with pytest.raises(ConfigError, match=r"c \(measures for this campaign already\)"):
            chosen(store, "c", "pool:big")

    def test_a_pool_nobody_is_in_is_named(self, store):
        with pytest.raises(ConfigError, match="pool 'pine' has no devices"):
            chosen(store, "pool:pine")


class TestMayMove:
    def test_to_another_device_of_the_pool(self, store):
        assert may_move(campaign("pool:pi"), "a", store)

    def test_not_from_a_device_that_was_named(self, store):
        assert not may_move(campaign("a"), "a", store)
        assert not may_move(campaign("lone", "pool:pi"), "lone", store)
        assert not may_move(campaign("a", "pool:pi"), "a", store), "it would be planned with the same device, for ever"

    def test_not_where_it_is_the_only_one(self, store):
        assert not may_move(campaign("pool:big"), "c", store)

    def test_not_to_devices_that_may_not_be_used(self, store):
        store.quarantine("b", "burnt")
        assert may_move(campaign("pool:pi"), "a", store)
        store.reserve("c", "ada", "soldering", None)
        assert not may_move(campaign("pool:pi"), "a", store)

    def test_not_to_a_device_that_the_campaign_has_already(self, store):
        """Else the campaign would be planned anew, find no device, and fail as a whole."""
        store.quarantine("c", "burnt")
        assert not may_move(campaign("b", "pool:pi"), "a", store)
        assert not may_move(campaign("pool:pi", "pool:pi"), "a", store)

    def test_not_where_another_pool_has_no_device_left(self, store):
        store.quarantine("c", "burnt")
        assert not may_move(campaign("pool:pi", "pool:big"), "a", store)

    def test_a_pool_that_lost_all_its_devices_is_no_error(self, store):
        """As when they were removed while the campaign waited."""
        store.remove_device("c")
        assert not may_move(campaign("pool:pi", "pool:big"), "a", store)
        assert not may_move(campaign("pool:big"), "c", store)

    @pytest.mark.parametrize("devices", [
        ("pool:pi",), ("pool:pi", "pool:big"), ("pool:pi", "pool:pi"), ("b", "pool:pi"),
        ("pool:big", "pool:pi", "lone"), ("b", "pool:pi", "pool:pi"), ("pool:pi", "pool:pi", "pool:pi"),
    ])
    @pytest.mark.parametrize("broken", ["a", "c"])
    def test_where_it_may_move_planning_again_succeeds(self, store, devices, broken):
        store.quarantine(broken, "burnt")
        moves = may_move(campaign(*devices), broken, store)
        if moves:
            assert broken not in chosen(store, *devices)
        else:
            with pytest.raises(ConfigError):
                chosen(store, *devices)


@given(st.lists(st.lists(st.sampled_from("abcd"), unique=True, max_size=4), max_size=4))
def test_everybody_gets_a_device_if_that_is_possible_at_all(wishes):
    """Compared with trying every way to hand the devices out."""
    possible = any(all(name in wish for name, wish in zip(names, wishes, strict=True))
                   for names in permutations("abcd", len(wishes)))
    found, missing = _match(wishes)
    assert (missing is None) == possible
    if possible:
        assert all(name in wish for name, wish in zip(found, wishes, strict=True))
        assert len(set(found)) == len(wishes)


@given(st.lists(st.lists(st.sampled_from("abcd"), unique=True, min_size=1, max_size=4), min_size=1, max_size=1))
def test_one_who_wishes_alone_gets_the_best(wishes):
    assert _match(wishes) == ([wishes[0][0]], None)
