"""One idle in this process: a sensor that hangs costs its own numbers, and nobody waits for it twice."""

import pytest

from agents.home import AgentHome
from agents.probe_set import OpenProbe
from agents.probes.base import Channel
from agents.waiting import Waiter
from agents.window import Measuring, measure_idle
from agents.wire.recording import unpack_recording
from tests.support.agent_process import block_plan, window_plan
from tests.support.block_watching import flags
from tests.support.fake_probes import Hanging, Steady

POWER = (Channel("stuck", "power_w", "sample", 1.0),)


@pytest.fixture
def stuck():
    """Makes probes that hang until the test ends."""
    made = []

    def make(**options):
        made.append(Hanging(**options))
        return made[-1]

    yield make
    for probe in made:
        probe.released.set()


def opened(name, probe):
    return OpenProbe(name, probe, probe.discover(None))


def idles(tmp_path, sampled, state_probes, count=2):
    plan = block_plan(window_plan("a" * 64), idle_ns=10_000_000, sample_rate_hz=200.0)
    with Waiter() as waiter:
        block = Measuring(AgentHome(tmp_path), plan, "boot-1", sampled, state_probes, [], waiter, set(), 0.1)
        return [unpack_recording(measure_idle(block, position)) for position in range(count)]


def test_a_power_sensor_that_hangs_is_a_gap_and_then_left_out(tmp_path, stuck):
    probe = stuck(good=1, channels=POWER)
    first, second = idles(tmp_path, [opened("rapl", probe), opened("steady", Steady())], [])
    header, arrays = first
    assert "hung in a read of probe rapl" in flags(header)["energy_gap"]["detail"]
    assert flags(header)["power_unreadable"]["severity"] == "degraded"
    assert header["sampler"]["cpu_ns"] is None
    assert len({len(arrays[trace[key]]) for trace in header["traces"][:1] for key in ("t", "raw", "span")}) == 1
    header, arrays = second
    assert [trace["rail"] for trace in header["traces"]] == ["package", "in"]
    assert len(arrays["trace0_t"]) >= 2
    assert "energy_gap" not in flags(header)
    assert "rapl" in flags(header)["power_unreadable"]["detail"]


def test_a_thermometer_that_hangs_is_absent_from_the_state(tmp_path, stuck):
    probe = stuck()
    for header, _ in idles(tmp_path, [], [opened("thermal", probe)]):
        assert header["state_before"]["temperatures_c"] == header["state_after"]["temperatures_c"] == {}
        assert flags(header)["temperature_unknown"]["severity"] == "info"
    assert probe.reads == 1


def test_without_trouble_nothing_is_flagged(tmp_path):
    for header, _ in idles(tmp_path, [opened("steady", Steady())], []):
        assert header["flags"] == []
        assert header["sampler"]["cpu_ns"] > 0
        assert header["artifact_sha256"] is None
