"""Recordings from the device: nothing is believed about them before it is checked."""

import hashlib
import threading
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.wire.link import StreamLink
from agents.wire.messages import Message, MessageType
from lab.devices.conversation import Conversation
from lab.devices.session import AgentSession
from lab.devices.spool import MAX_RECORDING_BYTES, SpoolEntry, fetch
from lab.errors import ConnectionLost, ProtocolMismatch, RequestFailed, TransportTimeout
from tests.support.scripted_agent import ScriptedAgent, bundle, data_message, encoded, refusal, result

DATA = b"recorded " * 20_000


def session_of(agent):
    return AgentSession.open(agent.transport(), bundle(), timeout_s=5)


@contextmanager
def conversation_with(agent):
    transport = agent.transport()
    conversation = Conversation(transport.open(bundle()), StreamLink(), transport.where)
    try:
        conversation.hello(5)
        yield conversation
    finally:
        conversation.close()


def entry_of(data=DATA, **changes):
    known = {"block_id": "b1", "cell_id": "c1", "attempt": 1, "position": 1,
             "sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
    return SpoolEntry(**{**known, **changes})


def test_what_is_listed_can_be_fetched_and_dropped():
    agent = ScriptedAgent()
    one = agent.add_recording(DATA)
    two = agent.add_recording(b"idle", cell_id=None, position=0, block_id="b2")
    with session_of(agent) as session:
        entries = session.list_spool()
        assert entries == (entry_of(), entry_of(b"idle", cell_id=None, position=0, block_id="b2"))
        assert [entry.sha256 for entry in session.list_spool("b2")] == [two]
        assert [session.fetch(entry) for entry in entries] == [DATA, b"idle"]
        assert session.ack([one, two, "0" * 64], 1) == 2
        assert session.list_spool() == ()


@pytest.mark.parametrize("changes", [
    {"size": MAX_RECORDING_BYTES + 1}, {"size": -1}, {"size": "9"}, {"size": True}, {"sha256": "../../etc/passwd"},
    {"sha256": None}, {"block_id": "../b"}, {"block_id": None}, {"cell_id": "a/b"}, {"cell_id": 7}, {"attempt": -1},
    {"position": 1.0},
])
def test_entries_that_cannot_be_are_refused(changes):
    agent = ScriptedAgent()
    agent.add_recording(DATA, **changes)
    with session_of(agent) as session, pytest.raises(ProtocolMismatch, match=rf"entries\[0\]\.{next(iter(changes))}"):
        session.list_spool()


def test_a_listing_that_is_none():
    agent = ScriptedAgent()
    agent.answers["spool.list"] = lambda request: result(request, entries={"0": {}})
    with session_of(agent) as session, pytest.raises(ProtocolMismatch, match="entries"):
        session.list_spool()


def test_a_huge_entry_is_refused_before_it_is_asked_for():
    agent = ScriptedAgent()
    with session_of(agent) as session, pytest.raises(ProtocolMismatch, match="exceeds"):
        session.fetch(entry_of(size=MAX_RECORDING_BYTES + 1))
    assert agent.ops() == []


def _answering(*messages):
    return lambda request: [*(build(request) for build in messages)]


def _data(offset, body):
    return lambda request: data_message(request, offset, body)


def _done(request):
    return Message(MessageType.RES, request.id, {"size": len(DATA), "after_data": True})


@pytest.mark.parametrize(("messages", "text"), [
    ([_data(0, DATA[:100]), _done], "got 100 bytes of .*, 180000 were announced"),
    ([_done], "got 0 bytes"),
    ([_data(0, DATA + b"x"), _done], "more than the 180000 bytes announced"),
    ([_data(0, DATA), _data(len(DATA), b"x"), _done], "more than the 180000 bytes announced"),
    ([_data(5, DATA[5:]), _done], "expected bytes from 0 on, got some from 5 on"),
    ([_data(0, DATA[:100]), _data(0, DATA[:100]), _done], "expected bytes from 100 on, got some from 0 on"),
    ([_data(-1, DATA), _done], "offset"),
    ([_data(0, b""), _data(0, DATA), _done], "expected bytes from 0 on, got DATA without any"),
    ([_data(0, DATA), _data(len(DATA), b""), _done], "got DATA without any"),
    ([_data(0, DATA[::-1]), _done], "got bytes with SHA-256"),
])
def test_an_agent_that_lies_about_sizes_or_bytes_is_not_believed(messages, text):
    agent = ScriptedAgent()
    agent.answers["spool.get"] = _answering(*messages)
    with session_of(agent) as session, pytest.raises(ProtocolMismatch, match=text):
        session.fetch(entry_of())


def test_a_fetch_as_a_whole_has_a_deadline():
    agent = ScriptedAgent()
    agent.answers["spool.get"] = _answering(_data(0, DATA[:1000]))  # and never another byte
    with conversation_with(agent) as conversation, pytest.raises(TransportTimeout, match=r"no answer to spool\.get"):
        fetch(conversation, entry_of(), timeout_s=0.2)


def test_bytes_that_come_too_slowly_do_not_extend_it():
    agent = ScriptedAgent()
    agent.answers["spool.get"] = _answering(*(_data(at, DATA[at:at + 1]) for at in range(100)))
    with conversation_with(agent) as conversation, pytest.raises(TransportTimeout, match=r"spool\.get"):
        fetch(conversation, entry_of(), timeout_s=0.0)


def test_a_recording_that_is_gone():
    agent = ScriptedAgent()
    agent.answers["spool.get"] = lambda request: refusal(request, "not_found")
    with session_of(agent) as session, pytest.raises(RequestFailed, match="not_found"):
        session.fetch(entry_of())


def test_a_link_that_ends_in_the_middle():
    agent = ScriptedAgent()
    agent.answers["spool.get"] = lambda request: encoded(data_message(request, 0, DATA[:9000]))[:5000]
    with session_of(agent) as session:

        def end():
            agent.cut_after_bytes = 0
            with pytest.raises(ConnectionLost):
                session.block_status("b1")

        ender = threading.Timer(0.05, end)
        ender.start()
        with pytest.raises(ConnectionLost, match="ended the link"):
            session.fetch(entry_of())
        ender.join()


@given(st.integers(2_000, 200_000))
def test_any_chunking_gives_the_same_bytes(step):
    agent = ScriptedAgent()
    chunks = [_data(at, DATA[at:at + step]) for at in range(0, len(DATA), step)]
    agent.answers["spool.get"] = _answering(*chunks, _done)
    with session_of(agent) as session:
        assert session.fetch(entry_of()) == DATA
