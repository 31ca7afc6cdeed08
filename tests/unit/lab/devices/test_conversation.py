"""Requests, answers and every way a link can go wrong between them."""

import threading
import time

import pytest

from agents.wire.link import StreamLink
from agents.wire.messages import Message, MessageType
from lab.devices.conversation import Conversation
from lab.devices.request import Liveness
from lab.errors import ConnectionLost, ProtocolMismatch, RequestFailed, TransportTimeout
from lab.transports.deadlines import deadline_after
from lab.transports.scripted import ScriptedStream
from tests.support.scripted_agent import HELLO, ScriptedAgent, encoded, refusal, result, truncated


@pytest.fixture
def agent():
    return ScriptedAgent()


@pytest.fixture
def talk(agent):
    opened = []

    def open_conversation(stream=None, **options):
        opened.append(Conversation(stream or ScriptedStream(agent), StreamLink(), "pi@pi", **options))
        return opened[-1]

    yield open_conversation
    for conversation in opened:
        conversation.close()


def answered(agent, op, *replies):
    agent.answers[op] = lambda request: b"".join(reply(request) if callable(reply) else reply for reply in replies)


def test_the_hello_comes_first(talk):
    assert talk().hello(5)["boot_id"] == HELLO["boot_id"]


def test_anything_else_first_is_no_agent(talk):
    stream = ScriptedStream(lambda _: encoded(Message(MessageType.PONG, 0, {})))
    with pytest.raises(ProtocolMismatch, match="pi@pi: expected HELLO, got PONG"):
        talk(stream).hello(5)


def test_answers_find_their_requests_whatever_the_order(agent, talk):
    held = []
    agent.answers["slow"] = lambda request: held.append(request) or b""
    agent.answers["quick"] = lambda request: result(request, name="quick") + result(held[0], name="slow")
    conversation = talk()
    with conversation.request("slow", {}) as slow:
        assert conversation.call("quick", {}, 5).text("name") == "quick"
        assert slow.answer(deadline_after(5)).text("name") == "slow"


def test_a_refusal_is_raised(agent, talk):
    answered(agent, "put.open", lambda request: refusal(request, "no_space"))
    with pytest.raises(RequestFailed, match=r"put\.open failed \(no_space\)") as caught:
        talk().call("put.open", {}, 5)
    assert caught.value.code == "no_space"


def test_an_answer_that_does_not_come_is_a_timeout_and_cancelled(agent, talk):
    answered(agent, "never")
    conversation = talk()
    with pytest.raises(TransportTimeout, match="pi@pi: no answer to never before the deadline"):
        conversation.call("never", {}, 0.05)
    assert [message.type for message in agent.seen] == [MessageType.REQ, MessageType.CANCEL]
    assert agent.seen[0].id == agent.seen[1].id


def test_a_late_answer_disturbs_nobody(agent, talk):
    late = []
    agent.answers["never"] = lambda request: late.append(request) or b""
    agent.answers["next"] = lambda request: result(late[0], name="late") + result(request, name="next")
    conversation = talk()
    with pytest.raises(TransportTimeout):
        conversation.call("never", {}, 0.02)
    assert conversation.call("next", {}, 5).text("name") == "next"


def test_answered_requests_are_not_cancelled(agent, talk):
    answered(agent, "fine", result)
    answered(agent, "bad", lambda request: refusal(request, "x"))
    conversation = talk()
    conversation.call("fine", {}, 5)
    with pytest.raises(RequestFailed):
        conversation.call("bad", {}, 5)
    assert MessageType.CANCEL not in [message.type for message in agent.seen]


def test_data_where_an_answer_belongs(agent, talk):
    answered(agent, "odd", lambda request: encoded(Message(MessageType.DATA, request.id, {}, b"x")))
    with pytest.raises(ProtocolMismatch, match="odd: expected an answer, got DATA"):
        talk().call("odd", {}, 5)


@pytest.mark.parametrize(("garbage", "text"), [
    (b"Segmentation fault\n", "expected a frame"),
    (b"JL\x03\x00\x01\x00\x00\x00\xff\xff\xff\xff", "frame of 4294967295 bytes announced"),
    (b"JL\x63\x00\x01\x00\x00\x00\x02\x00\x00\x00\x00\x00", "unknown message type 99"),
    (b"JL\x03\x00\x01\x00\x00\x00\x04\x00\x00\x00\xff\x00{}", "header is cut off"),
])
def test_garbage_ends_the_conversation_for_good(agent, talk, garbage, text):
    answered(agent, "x", garbage)
    conversation = talk()
    for _ in range(2):
        with pytest.raises(ProtocolMismatch, match=text):
            conversation.call("x", {}, 5)


def test_a_frame_cut_short_is_garbage_from_then_on(agent, talk):
    answered(agent, "x", truncated)
    conversation = talk()
    with pytest.raises((ProtocolMismatch, TransportTimeout)):
        conversation.call("x", {}, 0.2)
    answered(agent, "y", lambda request: result(request, filler="y" * 300))
    with pytest.raises(ProtocolMismatch):
        conversation.call("y", {}, 5)


def test_the_end_of_the_stream_wakes_everyone_and_says_why(agent, talk):
    agent.answers["wait"] = lambda _: b""
    conversation = talk()
    seen = []

    def waiter():
        try:
            conversation.call("wait", {}, 30)
        except ConnectionLost as error:
            seen.append(str(error))

    threads = [threading.Thread(target=waiter) for _ in range(3)]
    for thread in threads:
        thread.start()
    while len(agent.seen) < 3:
        time.sleep(0.01)
    agent.cut_after_bytes = 0
    with pytest.raises(ConnectionLost, match="pi@pi: the agent ended the link; the script is at its end"):
        conversation.call("end", {}, 5)
    for thread in threads:
        thread.join(5)
    assert len(seen) == 3


def test_a_goodbye_is_an_end(agent, talk):
    answered(agent, "x", encoded(Message(MessageType.BYE, 0, {})))
    with pytest.raises(ConnectionLost, match="pi@pi: the agent said goodbye"):
        talk().call("x", {}, 5)


def test_a_silent_line_is_asked_and_then_given_up(agent, talk):
    conversation = talk(liveness=Liveness(quiet_s=0.05, dead_s=0.3))
    conversation.hello(5)
    agent.silent = True
    with pytest.raises(ConnectionLost, match=r"not a byte for 0\.3 s while waiting for x; is it still on\?"):
        conversation.call("x", {}, 30)


def test_a_sign_of_life_keeps_a_long_wait_going(agent, talk):
    answered(agent, "long")
    conversation = talk(liveness=Liveness(quiet_s=0.05, dead_s=0.3))
    with pytest.raises(TransportTimeout):
        conversation.call("long", {}, 0.8)
    assert [message.type for message in agent.seen].count(MessageType.PING) >= 3


def test_a_quiet_wait_sends_nothing(agent, talk):
    answered(agent, "block.wait")
    with pytest.raises(TransportTimeout):
        talk().call("block.wait", {}, 0.3, Liveness(quiet_s=60, dead_s=120))
    assert MessageType.PING not in [message.type for message in agent.seen]


def test_an_exchange_has_its_four_instants(agent, talk):
    before_ns = time.monotonic_ns()
    exchange = talk().ping(5)
    assert before_ns <= exchange.t0_ns <= exchange.t3_ns <= time.monotonic_ns()
    assert exchange.t2_ns == exchange.t1_ns + 1
    assert abs(exchange.offset_ns + agent.clock_ahead_ns) <= exchange.delay_ns


@pytest.mark.parametrize("changes", [
    {"t1_ns": None}, {"t1_ns": "now"}, {"t2_ns": -1}, {"t1_ns": 1, "t2_ns": 2**62 - 1}, {"t1_ns": True},
])
def test_impossible_instants_are_refused(agent, talk, changes):
    agent.answers["ping"] = lambda header: {**header, **changes}
    with pytest.raises(ProtocolMismatch):
        talk().ping(5)


def test_a_stalled_send_gives_the_link_up(agent, talk):
    class Stuck(ScriptedStream):
        def send(self, *_):
            raise TransportTimeout("accepted no data before the deadline")

    conversation = talk(Stuck(agent))
    with pytest.raises(TransportTimeout, match="pi@pi: accepted no data"):
        conversation.call("x", {}, 5)
    with pytest.raises(TransportTimeout, match="accepted no data"):
        conversation.call("y", {}, 5)


def test_a_header_too_large_to_send_does_no_harm_to_the_link(agent, talk):
    answered(agent, "y", result)
    conversation = talk()
    with pytest.raises(ProtocolMismatch, match="message header of"):
        conversation.call("x", {"filler": "x" * 70_000}, 5)
    conversation.call("y", {}, 5)


def test_closing_says_goodbye_and_fails_what_is_open(agent, talk):
    conversation = talk()
    conversation.hello(5)
    conversation.close()
    conversation.close()
    assert agent.seen[-1].type is MessageType.BYE
    with pytest.raises(ConnectionLost, match="the session was closed here"):
        conversation.call("x", {}, 5)


def test_data_of_an_upload_stops_at_the_agents_refusal(agent, talk):
    agent.answers["put.open"] = result
    agent.answers["data"] = lambda request: refusal(request, "fenced")
    with talk().request("put.open", {}) as request:
        request.answer(deadline_after(5))
        request.send_data({"sha256": "0", "offset": 0}, b"x")
        deadline = time.monotonic() + 5
        with pytest.raises(RequestFailed, match="fenced"):
            _send_until(request, deadline)


def _send_until(request, deadline):
    while time.monotonic() < deadline:
        request.send_data({"sha256": "0", "offset": 1}, b"x")
