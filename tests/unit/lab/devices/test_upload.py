"""Uploads: nothing sent twice, nothing kept unchecked, every refusal told."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.wire.frames import MAX_FRAME_SSH_BYTES
from agents.wire.messages import Message, MessageType
from lab.devices.session import AgentSession
from lab.devices.upload import CHUNK_BYTES
from lab.errors import ConnectionLost, ProtocolMismatch, RequestFailed, StoreError
from tests.support.scripted_agent import ScriptedAgent, bundle, encoded, refusal, result

DATA = bytes(range(256)) * 700


def session_of(agent):
    return AgentSession.open(agent.transport(), bundle(), timeout_s=5)


def file_of(folder, data=DATA):
    path = folder / "artifact"
    path.write_bytes(data)
    return path, hashlib.sha256(data).hexdigest()


def bodies(agent):
    return [message for message in agent.seen if message.type is MessageType.DATA]


def test_a_file_arrives_whole_and_is_sent_once(tmp_path):
    agent = ScriptedAgent()
    path, sha256 = file_of(tmp_path)
    with session_of(agent) as session:
        assert session.put(path, sha256, 1) == len(DATA)
        assert session.put(path, sha256, 1) == 0
    assert agent.blobs == {sha256: DATA}
    assert agent.ops() == ["put.open", "put.commit", "put.open"]


def test_an_empty_file_is_a_file(tmp_path):
    agent = ScriptedAgent()
    path, sha256 = file_of(tmp_path, b"")
    with session_of(agent) as session:
        assert session.put(path, sha256, 1) == 0
    assert agent.blobs == {sha256: b""}


def test_progress_goes_up_to_the_whole(tmp_path):
    seen = []
    path, sha256 = file_of(tmp_path)
    with session_of(ScriptedAgent()) as session:
        session.put(path, sha256, 1, lambda done, total: seen.append((done, total)))
    assert seen == sorted(seen)
    assert seen[-1] == (len(DATA), len(DATA))


def test_every_frame_fits_one_ssh_packet(tmp_path):
    header = {"sha256": "f" * 64, "offset": 2**62}
    assert len(encoded(Message(MessageType.DATA, 2**32 - 1, header, bytes(CHUNK_BYTES)))) <= MAX_FRAME_SSH_BYTES
    assert CHUNK_BYTES > 32_000


def test_a_cut_link_loses_nothing_that_arrived(tmp_path):
    agent = ScriptedAgent()
    path, sha256 = file_of(tmp_path)
    with session_of(agent) as session:
        agent.cut_after_bytes = 100_000
        with pytest.raises(ConnectionLost):
            session.put(path, sha256, 1)
    arrived = len(agent.partial[sha256])
    assert 0 < arrived < len(DATA)
    agent.seen.clear()
    with session_of(agent) as session:
        assert session.put(path, sha256, 1) == len(DATA) - arrived
    assert bodies(agent)[0].header["offset"] == arrived
    assert agent.blobs == {sha256: DATA}


@given(st.binary(max_size=200), st.data())
def test_it_goes_on_from_any_offset(tmp_path_factory, content, data):
    offset = data.draw(st.integers(0, len(content)))
    agent = ScriptedAgent()
    path, sha256 = file_of(tmp_path_factory.mktemp("put"), content)
    agent.partial[sha256] = bytearray(content[:offset])
    with session_of(agent) as session:
        assert session.put(path, sha256, 1) == len(content) - offset
    assert agent.blobs == {sha256: content}


@pytest.mark.parametrize("answer", [
    {"have": False, "offset": len(DATA) + 1}, {"have": False, "offset": -1}, {"have": False, "offset": True},
    {"have": False, "offset": 1.5}, {"have": False}, {"have": "yes"}, {}, {"have": 1},
])
def test_an_agent_that_lies_about_offsets_is_not_believed(tmp_path, answer):
    agent = ScriptedAgent()
    agent.answers["put.open"] = lambda request: result(request, **answer)
    path, sha256 = file_of(tmp_path)
    with session_of(agent) as session, pytest.raises(ProtocolMismatch, match=r"put\.open\.(offset|have)"):
        session.put(path, sha256, 1)
    assert bodies(agent) == []


@pytest.mark.parametrize(("op", "code"), [
    ("put.open", "no_space"), ("put.open", "read_only"), ("put.open", "fenced"), ("put.commit", "hash_mismatch"),
    ("put.commit", "short"),
])
def test_refusals_keep_their_code(tmp_path, op, code):
    agent = ScriptedAgent()
    agent.answers[op] = lambda request: refusal(request, code)
    path, sha256 = file_of(tmp_path)
    with session_of(agent) as session, pytest.raises(RequestFailed) as caught:
        session.put(path, sha256, 1)
    assert caught.value.code == code


def test_the_upload_of_a_link_that_was_cut_is_waited_for(tmp_path):
    agent = ScriptedAgent()
    path, sha256 = file_of(tmp_path)
    tries = []

    def open_put(request):
        tries.append(request)
        return refusal(request, "busy") if len(tries) < 3 else result(request, have=False, offset=0)

    agent.answers["put.open"] = open_put
    agent.answers["put.commit"] = result
    with session_of(agent) as session:
        assert session.put(path, sha256, 1) == len(DATA)
    assert len(tries) == 3


def test_bytes_that_are_not_what_they_are_called_are_refused(tmp_path):
    path, _ = file_of(tmp_path)
    with session_of(ScriptedAgent()) as session, pytest.raises(RequestFailed, match="hash_mismatch"):
        session.put(path, "0" * 64, 1)


def test_a_file_that_is_not_there(tmp_path):
    with session_of(ScriptedAgent()) as session, pytest.raises(StoreError, match="cannot be read: No such file"):
        session.put(tmp_path / "absent", "0" * 64, 1)


def test_a_file_that_shrinks_while_it_is_sent(tmp_path):
    agent = ScriptedAgent()
    path, sha256 = file_of(tmp_path)

    def shrink(request):
        path.write_bytes(b"")
        return result(request, have=False, offset=0)

    agent.answers["put.open"] = shrink
    with session_of(agent) as session, pytest.raises(StoreError, match="became shorter"):
        session.put(path, sha256, 1)
