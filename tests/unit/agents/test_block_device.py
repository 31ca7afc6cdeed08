"""What a block does to a device and reads from it: state set and put back, sensors sampled."""


import pytest

from tests.support.agent_process import block_plan, window_plan
from tests.support.block_watching import GOVERNOR, flags, leased_on, marks, worker_pid

_S = 1_000_000_000


def test_state_is_set_for_the_block_and_what_could_not_be_is_on_every_recording(start_agent, board):
    agent = leased_on(start_agent, board)
    plan = block_plan(window_plan(agent.artifact, length_ns=_S // 2),
                      state=(("governor", "performance"), ("fan", "off")))
    agent.start(plan)
    worker_pid(agent, plan)
    assert (board / GOVERNOR).read_text() == "performance"
    assert agent.wait(plan) == {"state": "done", "position": 2, "windows_done": 1, "error": None, "waiting": False}
    assert (board / GOVERNOR).read_text() == "powersave"
    for header, _ in agent.collect(plan).values():
        assert "fan = off" in flags(header)["state_not_set"]["detail"]


def test_state_that_cannot_be_put_back_is_said_in_the_status(start_agent, board):
    agent = leased_on(start_agent, board)
    plan = block_plan(window_plan(agent.artifact, length_ns=_S // 2), state=(("governor", "performance"),))
    agent.start(plan)
    worker_pid(agent, plan)
    (board / GOVERNOR).unlink()
    (board / GOVERNOR).mkdir()
    status = agent.wait(plan)
    assert status["state"] == "done"
    assert "could not be set back to 'powersave'" in status["error"]


def test_probes_are_sampled_through_every_window_and_idle(start_agent, board):
    agent = leased_on(start_agent, board)
    plan = block_plan(window_plan(agent.artifact, length_ns=_S // 4), sample_rate_hz=100.0,
                      probes=("thermal", "cpufreq", "rapl", "memory", "nobody"))
    agent.start(plan)
    agent.wait(plan)
    for header, arrays in agent.collect(plan).values():
        quantities = {trace["quantity"]: trace for trace in header["traces"]}
        assert set(quantities) == {"temperature_c", "frequency_hz"}
        trace = quantities["temperature_c"]
        t_ns, raw = arrays[trace["t"]], arrays[trace["raw"]]
        assert len(t_ns) == len(raw) == len(arrays[trace["span"]]) == header["sampler"]["samples"] >= 3
        assert t_ns[0] <= marks(header)["window_start"]
        assert t_ns[-1] >= marks(header)["window_end"]
        assert set(raw) == {41_000}
        assert (trace["rail"], trace["clock"]) == ("soc", f"agent:{header['boot_id']}")
        assert header["sampler"]["cpu_ns"] > 0
        for moment in ("state_before", "state_after"):
            assert header[moment]["temperatures_c"] == {"soc": pytest.approx(41.0)}
            assert list(header[moment]["frequencies_hz"].values()) == [1_800_000_000]
        assert flags(header)["probe_unknown"]["severity"] == "info"
        assert "temperature_unknown" not in flags(header)


def test_a_device_without_sensors_says_so_and_has_empty_states(start_agent, tmp_path):
    (tmp_path / "root").mkdir()
    agent = leased_on(start_agent, tmp_path / "root")
    plan = block_plan(window_plan(agent.artifact), probes=("thermal", "cpufreq"))
    agent.start(plan)
    agent.wait(plan)
    for header, _ in agent.collect(plan).values():
        assert set(flags(header)) >= {"temperature_unknown", "frequency_unknown"}
        assert header["state_before"] == header["state_after"] == {"temperatures_c": {}, "frequencies_hz": {}}
        assert header["traces"] == []
        assert header["sampler"] is None
