"""The lease over the wire: one holder across agents, stale fences refused everywhere."""

import pytest

from agents.wire.plan import plan_to_json
from tests.support.agent_process import AgentRefused, block_plan, window_plan


def refusal(work):
    with pytest.raises(AgentRefused) as caught:
        work()
    return caught.value


def test_a_held_device_names_its_holder_to_the_next_agent(agent, start_agent):
    agent.acquire("ann", 600)
    held = refusal(lambda: start_agent().acquire("bob"))
    assert held.code == "held"
    assert held.header["owner"] == "ann"
    assert 500 < held.header["expires_in_s"] <= 600
    assert held.header["retryable"] is True


def test_the_lease_outlives_the_agent_and_works_in_the_next(agent, start_agent):
    fence = agent.acquire("ann")
    agent.close()
    second = start_agent()
    assert second.call("lease.renew", fence=fence, ttl_s=600) == {}
    assert second.call("lease.release", fence=fence) == {}
    assert second.acquire("bob") > fence


def test_every_operation_that_changes_something_refuses_a_stale_fence(agent):
    stale = agent.acquire("ann")
    sha256 = agent.put(b"x")
    agent.call("lease.release", fence=stale)
    agent.acquire("bob")
    plan = plan_to_json(block_plan(window_plan(sha256)))
    for op, fields in [("put.open", {"sha256": sha256, "size": 1}), ("put.commit", {"sha256": sha256}),
                       ("block.start", {"plan": plan}), ("block.cancel", {"block_id": "b"}),
                       ("spool.ack", {"sha256s": []}), ("lease.renew", {"ttl_s": 1}), ("lease.release", {})]:
        assert refusal(lambda op=op, fields=fields: agent.call(op, fence=stale, **fields)).code == "fenced", op


@pytest.mark.parametrize("ttl_s", [0, -1, 24 * 3600 + 1, "60", True, None])
def test_a_time_to_live_that_makes_no_sense_is_refused(agent, ttl_s):
    assert refusal(lambda: agent.call("lease.acquire", owner="ann", ttl_s=ttl_s)).code == "bad_request"


def test_starting_a_block_lengthens_the_lease_to_cover_it(agent, start_agent):
    agent.acquire("ann", ttl_s=2)
    plan = block_plan(window_plan(agent.put(b"x")), window_deadline_ns=100 * 10**9)
    agent.start(plan)
    held = refusal(lambda: start_agent().acquire("bob"))
    assert held.header["expires_in_s"] > 200
    assert agent.wait(plan)["state"] == "done"


def test_a_kick_names_who_lost_the_device_and_the_block_that_goes_on(agent, start_agent):
    """The block is for whoever kicks to end; the fence under which it was begun ends nothing any more."""
    stale = agent.acquire("ann")
    plan = block_plan(window_plan(agent.put(b"x")), idle_ns=60 * 10**9)
    agent.start(plan)
    other = start_agent()
    kicked = other.call("lease.kick", owner="bob", ttl_s=60)
    assert (kicked["holder"], kicked["block_id"]) == ("ann", plan.block_id)
    assert refusal(lambda: agent.call("block.cancel", block_id=plan.block_id, fence=stale)).code == "fenced"
    ended = other.call("block.cancel", block_id=plan.block_id, fence=kicked["fence"])
    assert ended["state"] == "cancelled"
    assert other.call("lease.kick", owner="bob", ttl_s=60) == {"fence": kicked["fence"], "holder": None,
                                                               "block_id": None}
