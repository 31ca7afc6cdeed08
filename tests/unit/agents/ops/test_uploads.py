"""Uploads over the wire: cached, resumed after the link or the agent died, checked, refused with a reason."""

import hashlib
import os

import pytest

from agents.blobs import SYNC_BYTES
from agents.wire.messages import MessageType
from tests.support.agent_process import AgentRefused


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def refusal(work):
    with pytest.raises(AgentRefused) as caught:
        work()
    return caught.value


@pytest.mark.parametrize("size", [0, 1, 31_999, 32_000, 32_001, 1_000_000])
def test_a_file_arrives_whole_and_is_sent_only_once(agent, size):
    agent.acquire()
    data = os.urandom(size)
    name = agent.put(data)
    assert (agent.home / "blobs" / name).read_bytes() == data
    assert agent.open_put(name, size)[1] == {"have": True}
    assert list((agent.home / "partial").iterdir()) == []


def test_a_broken_link_loses_nothing(agent, start_agent):
    fence = agent.acquire()
    data = os.urandom(500_000)
    number, _ = agent.open_put(sha256(data), len(data))
    agent.send_data(number, sha256(data), data[:320_000])
    agent.process.stdin.close()
    agent.process.wait(20)
    second = start_agent()
    second.fence = fence
    number, answer = second.open_put(sha256(data), len(data))
    assert answer == {"have": False, "offset": 320_000}
    second.send_data(number, sha256(data), data, answer["offset"])
    second.call("put.commit", sha256=sha256(data), fence=fence)
    assert (second.home / "blobs" / sha256(data)).read_bytes() == data


def test_a_killed_agent_loses_only_what_was_not_yet_safe(agent, start_agent):
    fence = agent.acquire()
    data = os.urandom(SYNC_BYTES + 2_000_000)
    name = sha256(data)
    number, _ = agent.open_put(name, len(data))
    agent.send_data(number, name, data[:SYNC_BYTES + 1_000_000])
    agent.receive(agent.send(MessageType.PING, {"t0_ns": 1}))  # so that all of it has been taken
    agent.process.kill()
    agent.process.wait()
    second = start_agent()
    second.fence = fence
    number, answer = second.open_put(name, len(data))
    assert SYNC_BYTES <= answer["offset"] <= SYNC_BYTES + 32_000
    second.send_data(number, name, data, answer["offset"])
    second.call("put.commit", sha256=name, fence=fence)
    assert (second.home / "blobs" / name).read_bytes() == data


def test_wrong_bytes_are_refused_and_can_be_sent_again(agent):
    agent.acquire()
    name = sha256(b"right")
    number, _ = agent.open_put(name, 5)
    agent.send_data(number, name, b"wrong")
    assert refusal(lambda: agent.call("put.commit", sha256=name, fence=agent.fence)).code == "hash_mismatch"
    assert not (agent.home / "blobs" / name).exists()
    assert agent.put(b"right") == name


def test_missing_bytes_are_told_and_can_be_sent_after_opening_again(agent):
    agent.acquire()
    data = b"0123456789"
    number, _ = agent.open_put(sha256(data), 10)
    agent.send_data(number, sha256(data), data[:4])
    short = refusal(lambda: agent.call("put.commit", sha256=sha256(data), fence=agent.fence))
    assert (short.code, short.header["offset"]) == ("short", 4)
    number, answer = agent.open_put(sha256(data), 10)
    assert answer["offset"] == 4
    agent.send_data(number, sha256(data), data, 4)
    agent.call("put.commit", sha256=sha256(data), fence=agent.fence)


def test_data_that_does_not_fit_is_refused_on_the_spot(agent):
    agent.acquire()
    name = sha256(b"abc")
    number, _ = agent.open_put(name, 3)
    agent.send(MessageType.DATA, {"sha256": name, "offset": 7}, b"x", number)
    assert refusal(lambda: agent.answer(number)).code == "short"


def test_committing_twice_is_harmless_and_committing_nothing_is_told(agent):
    agent.acquire()
    name = agent.put(b"abc")
    assert agent.call("put.commit", sha256=name, fence=agent.fence) == {}
    assert refusal(lambda: agent.call("put.commit", sha256="f" * 64, fence=agent.fence)).code == "short"


def test_opening_again_in_one_session_goes_on(agent):
    agent.acquire()
    data = b"0123456789"
    number, _ = agent.open_put(sha256(data), 10)
    agent.send_data(number, sha256(data), data[:6])
    assert agent.open_put(sha256(data), 10)[1]["offset"] == 6


def test_a_file_larger_than_the_disk_is_refused_before_a_byte_is_sent(agent):
    agent.acquire()
    no_space = refusal(lambda: agent.open_put("a" * 64, 2**60))
    assert no_space.code == "no_space"
    assert "free" in no_space.header["message"]


@pytest.mark.parametrize("fields", [{"sha256": "../../etc/passwd", "size": 1}, {"sha256": "a" * 64, "size": -1},
                                    {"sha256": "a" * 64, "size": 1.5}, {"sha256": "a" * 64}])
def test_a_request_that_makes_no_sense_is_refused(agent, fields):
    agent.acquire()
    assert refusal(lambda: agent.call("put.open", fence=agent.fence, **fields)).code == "bad_request"


def test_uploads_of_two_sessions_do_not_mix(agent, start_agent):
    fence = agent.acquire()
    agent.open_put(sha256(b"abc"), 3)
    second = start_agent()
    second.fence = fence
    busy = refusal(lambda: second.open_put(sha256(b"abc"), 3))
    assert (busy.code, busy.header["retryable"]) == ("busy", True)
    agent.close()
    assert second.put(b"abc") == sha256(b"abc")
