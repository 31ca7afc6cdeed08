"""Finished windows over the wire: listed, fetched from any offset, gone only when acknowledged."""

import hashlib
import os
from array import array

import pytest

from agents.home import AgentHome
from agents.spool import Spool
from agents.wire.recording import pack_recording
from tests.support.agent_process import AgentRefused


def add(agent, block_id, position, size=100):
    data = pack_recording({"cell_id": "c"}, {"latency_ns": array("q", os.urandom(8 * size))})
    Spool(AgentHome(agent.home)).add(block_id, 1, position, data)
    return hashlib.sha256(data).hexdigest(), data


def refusal(work):
    with pytest.raises(AgentRefused) as caught:
        work()
    return caught.value


def test_entries_are_listed_for_one_block_or_all(agent):
    first, data = add(agent, "a", 1)
    second, _ = add(agent, "b", 2)
    expected = {"block_id": "a", "cell_id": "c", "attempt": 1, "position": 1, "sha256": first, "size": len(data)}
    assert agent.call("spool.list", block_id="a") == {"entries": [expected], "more": False}
    assert [entry["sha256"] for entry in agent.call("spool.list")["entries"]] == [first, second]
    assert agent.call("spool.list", block_id="nobody")["entries"] == []


@pytest.mark.parametrize("offset", [0, 1, 32_000, 100_000])
def test_a_window_can_be_fetched_from_any_offset(agent, offset):
    sha256, data = add(agent, "a", 1, 20_000)
    assert agent.fetch(sha256, offset) == data[offset:]
    assert agent.fetch(sha256, len(data)) == b""


def test_two_downloads_at_once_do_not_mix(agent):
    windows = [add(agent, "a", n, 30_000) for n in range(2)]
    numbers = [agent.ask("spool.get", sha256=sha256, offset=0) for sha256, _ in windows]
    for number, (sha256, data) in zip(numbers, windows):  # noqa: B905  Python 3.9 runs this file
        found = b""
        while len(found) < len(data):
            message = agent.receive(number)
            assert message.header == {"sha256": sha256, "offset": len(found)}
            found += message.body
        assert found == data
        assert agent.answer(number) == {"size": len(data), "after_data": True}


def test_acknowledged_windows_are_gone_and_acknowledging_again_is_harmless(agent):
    agent.acquire()
    first, _ = add(agent, "a", 1)
    second, _ = add(agent, "a", 2)
    assert agent.call("spool.ack", sha256s=[first], fence=agent.fence) == {"removed": 1}
    assert agent.call("spool.ack", sha256s=[first], fence=agent.fence) == {"removed": 0}
    assert [entry["sha256"] for entry in agent.call("spool.list")["entries"]] == [second]
    assert refusal(lambda: agent.fetch(first)).code == "not_found"


def test_without_a_lease_nothing_can_be_acknowledged(agent):
    sha256, _ = add(agent, "a", 1)
    assert refusal(lambda: agent.call("spool.ack", sha256s=[sha256], fence=0)).code == "fenced"
    assert len(agent.call("spool.list")["entries"]) == 1


@pytest.mark.parametrize("sha256s", [None, "a" * 64, ["short"], [1], ["a" * 64] * 501])
def test_a_list_that_makes_no_sense_is_refused(agent, sha256s):
    agent.acquire()
    assert refusal(lambda: agent.call("spool.ack", sha256s=sha256s, fence=agent.fence)).code == "bad_request"


def test_more_windows_than_one_answer_holds_come_in_portions(agent):
    for position in range(125):
        add(agent, "b" * 128, position, 1)
    answer = agent.call("spool.list")
    assert len(answer["entries"]) == 120
    assert answer["more"] is True


def test_an_offset_beyond_the_end_is_refused(agent):
    sha256, data = add(agent, "a", 1)
    assert refusal(lambda: agent.fetch(sha256, len(data) + 1)).code == "bad_request"
