"""Facts are looked for only with the host to oneself; while it is busy the last answer counts, if it still holds."""

import fcntl
import json
import os

import pytest

from agents.errors import Refused
from agents.facts_cache import FactsCache
from agents.home import AgentHome
from agents.host_lock import open_host_lock
from tests.support.block_watching import host_is_free

TOLD = {"runtimes": {"no_op": "1"}, "channels": []}


class Looking:
    """Stands for the process that looks; remembers whether the host was locked meanwhile."""

    def __init__(self, tmp_path):
        self._folder = tmp_path
        self.times = 0
        self.host_was_free = None

    def __call__(self, root, keep_fds):  # noqa: ARG002
        self.times += 1
        self.host_was_free = host_is_free(self._folder)
        folder = self._folder / "packages"
        return {**TOLD, "folders": {str(folder): folder.stat().st_mtime_ns}}


@pytest.fixture
def looking(tmp_path):
    (tmp_path / "packages").mkdir()
    return Looking(tmp_path)


@pytest.fixture
def cache(tmp_path, looking):
    home = AgentHome(tmp_path / "home")
    home.create()
    return FactsCache(home, tmp_path, looking, tmp_path, wait_s=0.05)


@pytest.fixture
def hold(tmp_path):
    """Takes a lock as somebody else would, until the test ends."""
    held = []

    def take(descriptor):
        held.append(descriptor)
        fcntl.flock(descriptor, fcntl.LOCK_EX)

    yield take
    for descriptor in held:
        os.close(descriptor)


def test_with_the_host_to_itself_it_looks_each_time_and_holds_the_host(cache, looking, tmp_path):
    assert cache.facts() == cache.facts() == TOLD
    assert looking.times == 2
    assert looking.host_was_free is False
    assert host_is_free(tmp_path)


def test_while_the_host_is_busy_the_last_answer_is_told(cache, looking, hold, tmp_path):
    cache.facts()
    hold(open_host_lock(tmp_path))
    assert cache.facts() == TOLD
    assert looking.times == 1


def test_while_a_block_of_this_home_runs_the_last_answer_is_told(cache, looking, hold):
    cache.facts()
    hold(os.open(cache.home.block_lock, os.O_RDWR | os.O_CREAT, 0o600))
    assert cache.facts() == TOLD
    assert looking.times == 1


def test_a_busy_host_and_nothing_remembered_is_busy_and_can_be_asked_again(cache, looking, hold, tmp_path):
    hold(open_host_lock(tmp_path))
    with pytest.raises(Refused, match="ask again later") as caught:
        cache.facts()
    assert (caught.value.code, caught.value.retryable, looking.times) == ("busy", True, 0)


def test_it_looks_once_the_host_is_free_again(cache, looking, tmp_path):
    descriptor = open_host_lock(tmp_path)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    with pytest.raises(Refused):
        cache.facts()
    os.close(descriptor)
    assert cache.facts() == TOLD
    assert looking.times == 1


def change_package(cache, tmp_path):
    os.utime(tmp_path / "packages", (1, 1))


def remove_packages(cache, tmp_path):
    (tmp_path / "packages").rmdir()


def change_key(name):
    def change(cache, tmp_path):
        kept = json.loads(cache.home.facts.read_text())
        kept["key"][name] = "another"
        cache.home.facts.write_text(json.dumps(kept))

    return change


def damage(text):
    return lambda cache, tmp_path: cache.home.facts.write_text(text)  # noqa: ARG005


@pytest.mark.parametrize("change", [
    change_package, remove_packages, *map(change_key, ("agent_sha256", "boot_id", "root", "python")),
    *map(damage, ("", "[]", "{", "null", '{"key": 1}')),
])
def test_what_no_longer_holds_is_not_told(cache, looking, hold, tmp_path, change):
    cache.facts()
    change(cache, tmp_path)
    hold(open_host_lock(tmp_path))
    with pytest.raises(Refused, match="not known yet"):
        cache.facts()
    assert looking.times == 1


def test_a_home_that_cannot_be_written_costs_only_the_memory(cache):
    cache.home.facts.mkdir()
    assert cache.facts() == TOLD
