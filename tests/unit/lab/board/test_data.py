"""Reads are few, fresh and of the right home."""

from contextlib import contextmanager

import pytest
import streamlit as st

from lab.board import data
from lab.errors import NotFound
from lab.store.store import Store
from tests.support.board_fixture import example_rows, fill_store, profile


@pytest.fixture(autouse=True)
def empty_cache():
    st.cache_data.clear()
    yield
    st.cache_data.clear()


class Opened:
    """Sources over a real store that count how often it was opened."""

    def __init__(self, home):
        self.home, self.count = home, 0
        self.sources = data.Sources(home=home, open_store=self.open, load_profile=profile)

    @contextmanager
    def open(self):
        self.count += 1
        with Store.open(self.home, read_only=True) as store:
            yield store


@pytest.fixture
def filled(lab_home):
    with Store.open(lab_home) as store:
        fill_store(store)
    return Opened(lab_home)


def test_a_home_nothing_was_stored_in_is_empty_and_stays_untouched(lab_home):
    opened = Opened(lab_home)

    assert data.campaigns(opened.sources) == data.devices(opened.sources) == ()
    assert opened.count == 0
    assert list(lab_home.iterdir()) == []


def test_rows_come_as_the_store_gives_them(filled):
    campaign = data.campaigns(filled.sources)[0]
    with Store.open(filled.home) as store:
        expected = store.result_rows(campaign=campaign.id)

    assert data.result_rows(filled.sources, campaign.id) == expected
    assert len(expected) == len(example_rows())


def test_one_page_asks_once_for_its_rows_and_a_click_right_after_does_not_ask_again(filled):
    campaign = data.campaigns(filled.sources)[0]
    before = filled.count
    for _ in range(5):
        data.result_rows(filled.sources, campaign.id)

    assert filled.count == before + 1


def test_nothing_older_than_two_seconds_is_shown():
    assert data.CACHE_S <= 2


def test_the_newest_campaign_comes_first(filled):
    with Store.open(filled.home) as store:
        fill_store(store, rows=example_rows()[:1], devices={}, name="later")

    assert [each.name for each in data.campaigns(filled.sources)] == ["later", "example-figures"]


def test_two_homes_do_not_share_a_cache(filled, tmp_path):
    other = tmp_path / "other"
    with Store.open(other) as store:
        fill_store(store, rows=example_rows()[:1], devices={}, name="elsewhere")

    assert data.campaigns(filled.sources)[0].name == "example-figures"
    assert data.campaigns(Opened(other).sources)[0].name == "elsewhere"


def test_devices_come_with_what_they_said(filled):
    known = {each.device.name: each for each in data.devices(filled.sources)}

    assert known["orin-nano"].facts.model == "NVIDIA Jetson Orin Nano Developer Kit"
    assert known["orin-nano"].facts_utc
    assert known["bench-board"].facts is known["bench-board"].facts_utc is None


def test_events_come_newest_first(filled):
    campaign = data.campaigns(filled.sources)[0]
    found = data.events(filled.sources, campaign.id)

    assert [each.utc for each in found] == sorted((each.utc for each in found), reverse=True)
    assert "ConnectionLost" in {each.kind for each in found}


def test_an_error_of_the_store_is_not_hidden_behind_a_cache(filled):
    with pytest.raises(NotFound, match="nothing-like-that"):
        data.result_rows(filled.sources, "nothing-like-that")
