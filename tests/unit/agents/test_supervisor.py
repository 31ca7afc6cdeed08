"""The real agent over pipes: it greets, answers, survives nonsense, and ends when the wire does."""

import hashlib
import os
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import agents
from agents.wire.frames import HEADER, MAX_PAYLOAD_BYTES, encode_frame
from agents.wire.messages import MessageType
from tests.support.agent_process import AgentProcess, AgentRefused, block_plan, window_plan

END_S = 20.0


def code_of(work):
    with pytest.raises(AgentRefused) as caught:
        work()
    return caught.value.code


def test_hello_comes_first_and_says_which_agent_this_is(agent, bundle):
    assert agent.hello["proto"] == 1
    assert agent.hello["agent_sha256"] == hashlib.sha256(bundle.read_bytes()).hexdigest()
    assert agent.hello["python"] == ".".join(map(str, sys.version_info[:3]))
    assert len(agent.hello["session"]) == 16


def test_it_runs_from_a_source_tree_too(bundle, tmp_path):
    package = Path(agents.__file__).parent
    for command in ([sys.executable, "-E", str(package)], [sys.executable, str(package / "__main__.py")]):
        with AgentProcess(bundle, tmp_path / "home", command=command) as agent:
            assert agent.call("facts")["runtimes"]["no_op"] == "1"


def test_a_ping_is_answered_with_the_agents_monotonic_times(agent):
    before_ns = time.monotonic_ns()
    pong = agent.receive(agent.send(MessageType.PING, {"t0_ns": 123}))
    after_ns = time.monotonic_ns()
    assert pong.type is MessageType.PONG
    assert pong.header["t0_ns"] == 123
    assert before_ns <= pong.header["t1_ns"] <= pong.header["t2_ns"] <= after_ns  # one machine, one clock


@pytest.mark.parametrize("request_", [{"op": "nothing"}, {}, {"op": 7}, {"op": ["facts"]}, {"op": "x" * 5000}])
def test_an_unknown_operation_is_named_with_those_there_are(agent, request_):
    message = agent.receive(agent.send(MessageType.REQ, request_))
    assert message.type is MessageType.ERR
    assert message.header["code"] == "unknown_op"
    assert "lease.acquire" in message.header["message"]


def test_many_requests_may_be_open_and_each_is_answered_on_its_own_id(agent):
    numbers = [agent.ask("block.status", block_id=f"b{n}") for n in range(20)]
    for number in reversed(numbers):
        assert agent.answer(number)["state"] == "unknown"


def test_an_id_still_open_cannot_be_used_again(agent):
    agent.acquire()
    plan = block_plan(window_plan(agent.put(b"x"), length_ns=10**9))
    agent.start(plan)
    number = agent.ask("block.wait", block_id=plan.block_id, timeout_s=60)
    agent.send(MessageType.REQ, {"op": "block.status", "block_id": "x"}, number=number)
    assert code_of(lambda: agent.answer(number)) == "bad_request"


def test_a_waiting_request_can_be_cancelled_and_cancelling_again_is_harmless(agent):
    agent.acquire()
    plan = block_plan(window_plan(agent.put(b"x"), length_ns=10**9))
    agent.start(plan)
    number = agent.ask("block.wait", block_id=plan.block_id, timeout_s=60)
    for _ in range(3):
        agent.send(MessageType.CANCEL, {}, number=number)
    assert code_of(lambda: agent.answer(number)) == "cancelled"
    agent.send(MessageType.CANCEL, {}, number=999)
    assert agent.wait(plan)["state"] == "done"
    assert not any(message.id == number for message in agent._inbox)


def test_messages_the_agent_has_no_use_for_are_ignored(agent):
    for kind in (MessageType.HELLO, MessageType.RES, MessageType.ERR, MessageType.EVT, MessageType.CREDIT,
                 MessageType.PONG, MessageType.DATA):
        agent.send(kind, {"sha256": "f" * 64, "offset": 0}, b"body")
    assert agent.call("block.status", block_id="x")["state"] == "unknown"


@pytest.mark.parametrize("ending", ["eof", "bye"])
def test_it_exits_when_the_wire_ends(agent, ending):
    if ending == "bye":
        agent.send(MessageType.BYE, {})
    else:
        agent.process.stdin.close()
    assert agent.process.wait(END_S) == 0


def test_it_exits_when_nobody_reads_any_more(agent):
    agent.process.stdout.close()
    agent.send(MessageType.PING, {"t0_ns": 1})
    assert agent.process.wait(END_S) == 0


def test_it_exits_while_a_request_waits_and_the_block_goes_on(agent, start_agent):
    agent.acquire()
    plan = block_plan(window_plan(agent.put(b"x"), length_ns=5 * 10**8))
    agent.start(plan)
    agent.ask("block.wait", block_id=plan.block_id, timeout_s=60)
    agent.process.stdin.close()
    assert agent.process.wait(END_S) == 0
    assert start_agent().wait(plan)["state"] == "done"


@pytest.mark.parametrize("garbage", [
    b"hello, is this a shell?\n", HEADER.pack(b"JL", 3, 0, 1, MAX_PAYLOAD_BYTES + 1),
    encode_frame(99, 1, b"\x02\x00{}"), encode_frame(2, 1, b""), encode_frame(2, 1, b"\xff\xff{}"),
    encode_frame(2, 1, b"\x02\x00[]"),
    encode_frame(2, 1, b"\x00\x08" + b"[" * 2048),
])
def test_garbage_on_the_wire_ends_it_with_a_word(agent, garbage):
    agent.write(garbage)
    message = agent.receive(0)
    assert message.type is MessageType.ERR
    assert message.header["code"] == "garbage"
    assert agent.process.wait(END_S) == 2
    assert "make no sense" in agent.log()


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.dictionaries(st.sampled_from(["op", "sha256", "size", "fence", "plan", "block_id", "timeout_s", "owner",
                                        "ttl_s", "offset", "sha256s"]),
                       st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
                       | st.text(max_size=80) | st.lists(st.text(max_size=3), max_size=3)),
       st.sampled_from(["lease.acquire", "lease.renew", "lease.release", "put.open", "put.commit", "block.start",
                        "block.status", "block.wait", "block.cancel", "spool.list", "spool.get", "spool.ack"]))
def test_any_request_gets_exactly_one_answer_and_none_is_a_defect(agent, fields, op):
    number = agent.send(MessageType.REQ, {**fields, "op": op})
    answer = agent.receive(number)
    assert answer.type in (MessageType.RES, MessageType.ERR)
    assert answer.header.get("code") != "internal", agent.log()
    agent.receive(agent.send(MessageType.PING, {"t0_ns": 1}))
    assert not any(message.id == number for message in agent._inbox)


def test_what_a_library_prints_never_reaches_the_wire(bundle, tmp_path):
    code = ("import os, sys; sys.path.insert(0, sys.argv[1])\n"
            "from agents.supervisor import claim_wire\n"
            "wire = claim_wire(); print('python', flush=True); os.write(1, b'c library'); os.system('echo shell')\n"
            "os.write(wire.writer, b'wire:' + os.read(wire.reader, 100)); print(repr(sys.stdin.read()))")
    done = subprocess.run([sys.executable, "-u", "-c", code, str(bundle)], input=b"ping", capture_output=True,
                          check=True, timeout=60)
    assert done.stdout == b"wire:ping"
    for text in (b"python", b"c library", b"shell", b"''"):
        assert text in done.stderr


def test_it_answers_while_a_window_is_measured(agent):
    agent.acquire()
    plan = block_plan(window_plan(agent.put(b"x"), length_ns=2 * 10**9))
    agent.start(plan)
    for _ in range(20):
        assert agent.receive(agent.send(MessageType.PING, {"t0_ns": 1})).type is MessageType.PONG
    assert agent.call("block.status", block_id=plan.block_id)["state"] == "running"
    assert agent.wait(plan)["state"] == "done"


def test_a_ping_is_answered_in_the_middle_of_a_download_and_the_rest_can_be_cancelled(agent):
    data = os.urandom(20_000_000)
    (agent.home / "spool" / "b").mkdir()
    (agent.home / "spool" / "b" / "1-1.rec").write_bytes(data)
    number = agent.ask("spool.get", sha256=hashlib.sha256(data).hexdigest(), offset=0)
    assert agent.receive(number).type is MessageType.DATA
    assert agent.receive(agent.send(MessageType.PING, {"t0_ns": 1})).type is MessageType.PONG
    agent.send(MessageType.CANCEL, {}, number=number)
    received = 0
    while True:
        message = agent.receive(number)
        if message.type is not MessageType.DATA:
            break
        received += len(message.body)
    assert message.header["code"] == "cancelled"
    assert received < len(data)


def test_a_reader_that_stalls_does_not_stall_the_agent(agent):
    data = os.urandom(5_000_000)
    (agent.home / "spool" / "b").mkdir()
    (agent.home / "spool" / "b" / "1-1.rec").write_bytes(data)
    number = agent.ask("spool.get", sha256=hashlib.sha256(data).hexdigest(), offset=0)
    select.select([agent.process.stdout], [], [], END_S)
    agent.acquire_number = agent.ask("lease.acquire", owner="test", ttl_s=60)  # taken while its output is stuck
    deadline = time.monotonic() + END_S
    while not (agent.home / "lease.json").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert (agent.home / "lease.json").exists()
    assert agent.receive(number).type is MessageType.DATA
