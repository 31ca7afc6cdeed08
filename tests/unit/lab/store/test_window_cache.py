"""Windows kept in memory are those of the files as they are now, and never too many."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.errors import StoreError
from lab.store.window_cache import WindowCache
from tests.support import windows


class Reading:
    """Counts how often a window is read from its file."""

    def __init__(self, folder):
        self.folder = folder
        self.read = []

    def get(self, cache, name, **changes):
        def read():
            self.read.append(name)
            return windows.window(sha256=name, **changes)

        return cache.get(name, self.path(name), read)

    def path(self, name):
        return self.folder / name

    def write(self, name, text="recording"):
        self.path(name).write_text(text)


@pytest.fixture
def reading(tmp_path):
    return Reading(tmp_path)


def test_a_window_is_read_once_and_cannot_be_changed_by_who_has_it(reading):
    reading.write("a")
    cache = WindowCache()
    first = reading.get(cache, "a", traces=(windows.constant_power(1.0),))
    assert reading.get(cache, "a") is first
    assert reading.read == ["a"]
    for array in (first.latency_ns, first.warmup_latency_ns, first.traces[0].raw, first.traces[0].t_ns):
        assert not array.flags.writeable


@pytest.mark.parametrize("change", ["longer", "later"])
def test_a_file_that_was_changed_is_read_again(reading, change):
    reading.write("a")
    cache = WindowCache()
    reading.get(cache, "a")
    if change == "longer":
        reading.write("a", "another recording")
    else:
        os.utime(reading.path("a"), ns=(1, 1))
    reading.get(cache, "a")
    assert reading.read == ["a", "a"]


def test_a_file_that_is_gone_is_asked_for_every_time(reading):
    reading.write("a")
    cache = WindowCache()
    reading.get(cache, "a")
    reading.path("a").unlink()
    assert [reading.get(cache, "a").sha256 for _ in range(2)] == ["a", "a"]
    assert reading.read == ["a", "a", "a"]


def test_what_cannot_be_read_is_not_kept(reading):
    reading.write("a")
    cache = WindowCache()

    def fail():
        raise StoreError("damaged")

    with pytest.raises(StoreError):
        cache.get("a", reading.path("a"), fail)
    assert reading.get(cache, "a").sha256 == "a"


def test_the_windows_used_longest_ago_make_room(reading):
    for name in "abc":
        reading.write(name)
    cache = WindowCache(bytes_max=2 * 8 * 1024 + 1000)  # two windows and their few latencies
    for name in "abacab":
        reading.get(cache, name)
    assert reading.read == ["a", "b", "c", "b"]


@given(st.lists(st.integers(0, 5), max_size=40), st.integers(0, 6))
def test_whatever_the_order_each_answer_is_the_window_asked_for(tmp_path_factory, order, room):
    reading = Reading(tmp_path_factory.mktemp("traces"))
    cache = WindowCache(bytes_max=room * 9000)
    for number in order:
        reading.write(str(number))
        os.utime(reading.path(str(number)), ns=(1, 1))
        assert reading.get(cache, str(number)).sha256 == str(number)
    assert len(reading.read) >= len(set(order))
