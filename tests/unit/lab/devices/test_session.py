"""The session's calls, one by one, against a scripted agent."""

import pytest

from agents.wire.plan import BlockPlan, WindowPlan, plan_from_json
from lab.devices.session import AgentSession, BlockStatus
from lab.errors import ConfigError, ConnectionLost, DeviceBusy, ProtocolMismatch, RequestFailed, TransportTimeout
from lab.transports.scripted import ScriptedTransport
from tests.support.scripted_agent import HELLO, ScriptedAgent, bundle, refusal, result

PLAN = BlockPlan(
    block_id="b1", number=1, attempt=1, idle_ns=10**9, probes=("thermal",), sample_rate_hz=10.0,
    window_deadline_ns=10**10, windows=(WindowPlan(
        cell_id="c1", artifact_sha256="a" * 64, inputs_sha256=None, runtime="no_op", threads=1, batch=1, warmup_ns=0,
        length_ns=10**9, inferences_min=1),))


@pytest.fixture
def agent():
    return ScriptedAgent()


@pytest.fixture
def session(agent):
    with AgentSession.open(agent.transport(), bundle(), timeout_s=5) as opened:
        yield opened


def last(agent):
    return agent.seen[-1].header


def test_the_hello_is_kept(session):
    assert session.hello["boot_id"] == HELLO["boot_id"]
    assert session.where == "the scripted device"


def test_the_clock_offset_is_found(agent, session):
    sync = session.clock_sync(8)
    assert sync.exchanges == 8
    assert abs(sync.offset_ns + agent.clock_ahead_ns) <= sync.uncertainty_ns


def test_a_lease_is_taken_renewed_and_given_back(agent, session):
    fence = session.acquire_lease("me", 60)
    assert last(agent) == {"op": "lease.acquire", "owner": "me", "ttl_s": 60}
    session.renew_lease(fence, 30)
    session.release_lease(fence)
    assert agent.holder is None
    assert session.acquire_lease("me", 60) == fence + 1


def test_a_kick_takes_the_device_and_says_from_whom(agent, session):
    agent.holder = "eve"
    kicked = session.kick_lease("me", 60)
    assert last(agent) == {"op": "lease.kick", "owner": "me", "ttl_s": 60}
    assert (kicked.holder, kicked.block_id) == ("eve", None)
    session.release_lease(kicked.fence)
    assert agent.holder is None


@pytest.mark.parametrize("lie", [{"fence": 0}, {"holder": 7}, {"holder": ""}, {"block_id": "../../etc"}])
def test_a_kick_answered_with_nonsense_is_refused(agent, session, lie):
    agent.answers["lease.kick"] = lambda message: result(
        message, **{"fence": 3, "holder": None, "block_id": None, **lie})
    with pytest.raises(ProtocolMismatch):
        session.kick_lease("me", 60)


def test_a_device_in_use_names_its_holder(agent, session):
    agent.holder = "eve"
    with pytest.raises(DeviceBusy, match=r"the scripted device is in use by eve, whose lease ends in 42 s"):
        session.acquire_lease("me", 60)


@pytest.mark.parametrize("call", [
    lambda s: s.renew_lease(7, 1), lambda s: s.release_lease(7), lambda s: s.start_block(PLAN, 7),
    lambda s: s.cancel_block("b1", 7),
])
def test_a_stale_fence_is_refused(session, call):
    with pytest.raises(RequestFailed) as caught:
        call(session)
    assert caught.value.code == "fenced"


@pytest.mark.parametrize("fence", [0, -1, None, "1", True])
def test_a_fence_that_is_none_is_refused(agent, session, fence):
    agent.answers["lease.acquire"] = lambda request: result(request, fence=fence)
    with pytest.raises(ProtocolMismatch, match="fence"):
        session.acquire_lease("me", 60)


def test_a_plan_arrives_as_the_agent_reads_it(agent, session):
    session.start_block(PLAN, session.acquire_lease("me", 60))
    assert plan_from_json(last(agent)["plan"]) == PLAN


def test_a_block_is_waited_for_and_looked_at(agent, session):
    assert session.wait_block("b1", 30) == BlockStatus(state="done", position=3, windows_done=2, error=None)
    assert last(agent) == {"op": "block.wait", "block_id": "b1", "timeout_s": 30}
    assert session.block_status("b1").state == "running"
    session.cancel_block("b1", agent.fence)
    assert last(agent)["op"] == "block.cancel"


@pytest.mark.parametrize("status", [
    {"state": "resting"}, {"state": None}, {"position": -1}, {"position": "3"}, {"windows_done": 10**6}, {"error": 5},
])
def test_a_status_that_is_none_is_refused(agent, session, status):
    fine = {"state": "done", "position": 1, "windows_done": 1, "error": None}
    agent.answers["block.wait"] = lambda request: result(request, **{**fine, **status})
    with pytest.raises(ProtocolMismatch, match=next(iter(status))):
        session.wait_block("b1", 1)


def test_a_failed_block_tells_why_in_clean_words(agent, session):
    error = "worker ended by signal 9\x1b[31m\n"
    agent.answers["block.status"] = lambda request: result(
        request, state="failed", position=2, windows_done=1, error=error)
    assert session.block_status("b1").error == "worker ended by signal 9"


@pytest.mark.parametrize("code", ["bad_plan", "missing_artifact", "busy"])
def test_a_refused_plan_keeps_its_code(agent, session, code):
    agent.answers["block.start"] = lambda request: refusal(request, code)
    with pytest.raises(RequestFailed) as caught:
        session.start_block(PLAN, 1)
    assert caught.value.code == code


def test_an_agent_that_never_greets_is_a_timeout():
    with pytest.raises(TransportTimeout, match="no answer to HELLO"):
        AgentSession.open(ScriptedTransport(lambda _: b""), bundle(), timeout_s=0.05)


def test_garbage_instead_of_a_greeting():
    with pytest.raises(ProtocolMismatch, match="expected a frame, got bytes"):
        AgentSession.open(ScriptedTransport(lambda _: b"bash: no job control\n"), bundle(), timeout_s=5)


def test_an_end_instead_of_a_greeting():
    with pytest.raises(ConnectionLost, match="ended the link"):
        AgentSession.open(ScriptedTransport(lambda _: None), bundle(), timeout_s=5)


def test_a_link_nobody_can_speak_yet(agent):
    transport = agent.transport()
    transport.link = "serial"
    with pytest.raises(ConfigError, match="a serial link is not supported yet"):
        AgentSession.open(transport, bundle())


def test_after_the_end_every_call_says_so(agent):
    session = AgentSession.open(agent.transport(), bundle(), timeout_s=5)
    session.close()
    session.close()
    with pytest.raises(ConnectionLost, match="closed here"):
        session.facts()
