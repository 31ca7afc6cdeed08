"""Facts over the wire: runtimes and channels, without holding up anything else."""

from agents.wire.messages import MessageType


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
