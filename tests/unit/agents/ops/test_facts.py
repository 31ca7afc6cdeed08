"""Facts over the wire: runtimes and channels, without holding up anything else."""

import json

from agents.wire.messages import MessageType
from tests.support.agent_process import block_plan, window_plan
from tests.support.block_watching import worker_pid


def test_runtimes_and_probes_are_told_and_pings_answered_meanwhile(agent):
    number = agent.ask("facts")
    assert agent.receive(agent.send(MessageType.PING, {"t0_ns": 1})).type is MessageType.PONG
    facts = agent.answer(number)
    assert facts["runtimes"]["no_op"] == "1"
    assert "onnx_runtime" in {**facts["runtimes"], **facts["runtimes_missing"]}
    assert set(facts) == {"runtimes", "runtimes_missing", "channels", "unavailable"}


def test_the_root_decides_which_channels_there_are(start_agent, tmp_path):
    zone = tmp_path / "root/sys/class/thermal/thermal_zone0"
    zone.mkdir(parents=True)
    (zone / "type").write_text("soc\n")
    (zone / "temp").write_text("50000\n")
    facts = start_agent(root=tmp_path / "root").call("facts")
    assert [channel["rail"] for channel in facts["channels"]] == ["soc"]
    assert "thermal" not in {entry["probe"] for entry in facts["unavailable"]}


def test_while_a_block_runs_the_last_answer_is_told_and_no_process_is_started(leased):
    facts = leased.call("facts")
    path = leased.home / "facts.json"
    kept = json.loads(path.read_text())
    kept["facts"]["runtimes"]["no_op"] = "remembered"
    path.write_text(json.dumps(kept))
    plan = block_plan(window_plan(leased.artifact, length_ns=60_000_000_000), window_deadline_ns=120_000_000_000)
    leased.start(plan)
    worker_pid(leased, plan)
    assert leased.call("facts") == {**facts, "runtimes": {**facts["runtimes"], "no_op": "remembered"}}
    leased.call("block.cancel", block_id=plan.block_id, fence=leased.fence)
    assert leased.call("facts") == facts
