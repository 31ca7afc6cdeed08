"""Facts about a device: complete, clean, or refused by name."""

import pytest

from lab.devices.session import AgentSession
from lab.domain.device import ChannelFacts
from lab.errors import ProtocolMismatch
from tests.support.scripted_agent import AGENT_SHA256, FACTS, ScriptedAgent, bundle


def facts_of(hello=None, facts=None):
    with AgentSession.open(ScriptedAgent(hello, facts).transport(), bundle(), timeout_s=5) as session:
        return session.facts()


def test_facts_come_from_hello_and_answer():
    facts = facts_of()
    assert (facts.agent_sha256, facts.boot_id, facts.model, facts.has_aes) == (AGENT_SHA256, "boot-1", "Board 4", False)
    assert (facts.cpu_model, facts.cpu_count, facts.isa, facts.memory_bytes) == ("Cortex-A72", 4, ("asimd",), 2**31)
    assert facts.runtimes == (("onnx_runtime", "1.22.0"),)
    assert facts.channels[0] == ChannelFacts(probe="hwmon_power", rail="VDD_IN", quantity="power_w", kind="sample")
    assert facts.unavailable == (("rapl", "absent: no powercap folder"),)


def test_what_a_device_does_not_know_is_none():
    facts = facts_of({"model": None, "memory_bytes": None})
    assert (facts.model, facts.memory_bytes) == (None, None)


def test_a_runtime_that_is_missing_keeps_its_reason():
    facts = facts_of(facts={**FACTS, "runtimes": {}, "runtimes_missing": {"onnx_runtime": "No module named numpy"}})
    assert facts.runtimes == ()
    assert facts.unavailable[-1] == ("onnx_runtime", "missing: No module named numpy")


def test_text_is_cleaned_and_cut():
    facts = facts_of({"cpu_model": "\x1b[31mEvil\x1b[0m\n" + "x" * 5000, "isa": ["a\nb"]})
    assert facts.cpu_model.startswith("Evil x")
    assert len(facts.cpu_model) <= 400
    assert facts.isa == ("a b",)


@pytest.mark.parametrize(("hello", "facts", "place"), [
    ({"cpu_count": 0}, {}, "HELLO.cpu_count"), ({"cpu_count": "4"}, {}, "HELLO.cpu_count"),
    ({"memory_bytes": -5}, {}, "HELLO.memory_bytes"), ({"memory_bytes": 2**60}, {}, "HELLO.memory_bytes"),
    ({"isa": "neon"}, {}, "HELLO.isa"), ({"isa": [1]}, {}, r"HELLO\.isa\[0\]"), ({"has_aes": "yes"}, {}, "has_aes"),
    ({"kernel": None}, {}, "HELLO.kernel"), ({"model": 7}, {}, "HELLO.model"),
    ({}, {"runtimes": [1]}, "facts.runtimes"), ({}, {"runtimes": {"a": 1}}, "facts.runtimes.a"),
    ({}, {"channels": [{}]}, r"facts\.channels\[0\]"), ({}, {"channels": "none"}, "facts.channels"),
    ({}, {"channels": [{**FACTS["channels"][0], "kind": "guess"}]}, r"channels\[0\]\.kind"),
    ({}, {"unavailable": [{"probe": "x"}]}, r"unavailable\[0\]"), ({}, {"unavailable": [{}] * 2000}, "unavailable"),
])
def test_wrong_facts_are_refused_by_name(hello, facts, place):
    with pytest.raises(ProtocolMismatch, match=place):
        facts_of(hello, {**FACTS, **facts})


@pytest.mark.parametrize(("hello", "text"), [
    ({"proto": 2}, "speaks protocol 2, expected 1"), ({"proto": None}, "proto"), ({"proto": "1"}, "proto"),
    ({"agent_sha256": "b" * 64}, "agent b+ is running, expected a+"), ({"agent_sha256": 5}, "agent_sha256"),
])
def test_another_agent_or_protocol_is_refused_at_the_door(hello, text):
    agent = ScriptedAgent(hello)
    with pytest.raises(ProtocolMismatch, match=text):
        AgentSession.open(agent.transport(), bundle(), timeout_s=5)
    assert [message.type.name for message in agent.seen] == ["BYE"]
