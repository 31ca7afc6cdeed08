"""The stream link delivers in order, lets control overtake bulk, and keeps an answer behind its own data."""

from hypothesis import given
from hypothesis import strategies as st

from agents.wire.link import NEVER_NS, StreamLink
from agents.wire.messages import Message, MessageType


def drain(link):
    frames = []
    while True:
        data, due_ns = link.poll(0)
        assert due_ns == NEVER_NS
        if not data:
            return frames
        frames.append(data)


def carry(messages):
    """What the other end receives, in order."""
    sender, receiver = StreamLink(), StreamLink()
    for message in messages:
        sender.send(message)
    return [found for data in drain(sender) for found in receiver.receive(data, 0)]


MESSAGES = st.lists(st.builds(
    Message, st.sampled_from(list(MessageType)), st.integers(0, 5),
    st.fixed_dictionaries({"n": st.integers()}, optional={"after_data": st.booleans()}), st.binary(max_size=20)),
    max_size=20)


@given(MESSAGES)
def test_every_message_arrives_once_and_each_queue_keeps_its_order(messages):
    found = carry(messages)

    def is_bulk(message):
        return message.type is MessageType.DATA or bool(message.header.get("after_data"))

    assert [m for m in found if is_bulk(m)] == [m for m in messages if is_bulk(m)]
    assert [m for m in found if not is_bulk(m)] == [m for m in messages if not is_bulk(m)]


def test_a_pong_overtakes_queued_data():
    data = [Message(MessageType.DATA, 1, {"offset": n}, b"x" * 100) for n in range(3)]
    pong = Message(MessageType.PONG, 2, {"t0_ns": 1})
    assert carry([*data, pong]) == [pong, *data]


def test_the_answer_to_a_download_stays_behind_its_data():
    data = Message(MessageType.DATA, 1, {"offset": 0}, b"x")
    answer = Message(MessageType.RES, 1, {"size": 1, "after_data": True})
    assert carry([data, answer]) == [data, answer]


@given(MESSAGES, st.integers(1, 40))
def test_a_receiver_does_not_care_how_bytes_are_portioned(messages, size):
    sender, receiver = StreamLink(), StreamLink()
    for message in messages:
        sender.send(message)
    stream = b"".join(drain(sender))
    found = [m for at in range(0, len(stream), size) for m in receiver.receive(stream[at:at + size], 0)]
    assert found == carry(messages)


def test_queued_counts_what_is_still_to_be_written():
    link = StreamLink()
    link.send(Message(MessageType.DATA, 1, {}))
    link.send(Message(MessageType.PING, 1, {}))
    assert link.queued == 2
    drain(link)
    assert link.queued == 0
