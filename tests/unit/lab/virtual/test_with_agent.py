"""The real agent on a virtual board: a block measured there carries the board's power, temperature and name."""

import hashlib
import sys

import pytest

from agents.wire.plan import BlockPlan, WindowPlan
from agents.wire.recording import unpack_recording
from lab.config.profile import load_profile
from lab.devices.bundle import build_bundle
from lab.devices.session import AgentSession
from lab.virtual.transport import VirtualTransport
from lab.virtual.truth import read_truth

MS = 1_000_000
ARTIFACT = b"nothing that the no_op runtime would read"
SHA256 = hashlib.sha256(ARTIFACT).hexdigest()
PLAN = BlockPlan(
    block_id="block-1", number=1, attempt=1, idle_ns=300 * MS, probes=("rapl", "hwmon_power", "thermal", "cpufreq"),
    sample_rate_hz=50.0, window_deadline_ns=60_000 * MS,
    windows=(WindowPlan(cell_id="cell-1", artifact_sha256=SHA256, inputs_sha256=None, runtime="no_op", threads=1,
                        batch=1, warmup_ns=10 * MS, length_ns=600 * MS, inferences_min=1),),
)


@pytest.fixture(scope="module")
def transport(tmp_path_factory):
    return VirtualTransport(load_profile("virtual-pi4")[0], sys.executable, tmp_path_factory.mktemp("lab") / "device")


@pytest.fixture(scope="module")
def recordings(transport, tmp_path_factory):
    """Hello, facts, and the recordings (header, arrays) of one block by position: idle, window, idle."""
    folder = tmp_path_factory.mktemp("host")
    artifact = folder / SHA256
    artifact.write_bytes(ARTIFACT)
    with AgentSession.open(transport, build_bundle(folder)) as session:
        hello, facts = dict(session.hello), session.facts()
        fence = session.acquire_lease("test", 300)
        session.put(artifact, SHA256, fence)
        session.start_block(PLAN, fence)
        status = session.wait_block(PLAN.block_id, 120)
        assert (status.state, status.error) == ("done", None)
        entries = sorted(session.list_spool(PLAN.block_id), key=lambda entry: entry.position)
        return hello, facts, [unpack_recording(session.fetch(entry)) for entry in entries]


def trace(recording, quantity):
    header, arrays = recording
    (found,) = [trace for trace in header["traces"] if trace["quantity"] == quantity]
    return found, arrays[found["t"]], arrays[found["raw"]]


def instants(recording, first, last):
    """When two marks were made, in ns of this host's monotonic clock."""
    marks = {mark["name"]: mark["t_ns"] for mark in recording[0]["marks"]}
    return marks[first], marks[last]


def test_the_agent_knows_that_the_board_is_simulated(recordings):
    hello, facts, _ = recordings
    assert hello["model"] == "JouleLab virtual board (simulated), like Raspberry Pi 4 Model B"
    assert hello["cpu_model"] == hello["model"]
    assert facts.memory_bytes == 2**32
    assert {(c.probe, c.rail, c.quantity) for c in facts.channels} == {
        ("hwmon_power", "VDD_IN", "power_w"), ("thermal", "cpu-thermal", "temperature_c"),
        ("cpufreq", "policy0", "frequency_hz")}
    assert [name for name, _ in facts.unavailable] == ["rapl"]


def test_idle_is_the_board_s_idle_power(recordings):
    for recording in (recordings[2][0], recordings[2][2]):
        found, _, raw = trace(recording, "power_w")
        assert found["rail"] == "VDD_IN"
        assert set(raw) == {2_700_000}


def test_a_busy_window_draws_more_and_what_the_truth_says(recordings, transport):
    """Mean of the samples against the exact energy between the first and the last; they may differ by how
    unevenly a busy host lets the sampler sample."""
    _, t_ns, raw = trace(recordings[2][1], "power_w")
    start_ns, end_ns = instants(recordings[2][1], "window_start", "window_end")
    inside = [(t, value) for t, value in zip(t_ns, raw, strict=True) if start_ns <= t <= end_ns]
    mean_w = sum(value for _, value in inside) / len(inside) * 1e-6
    rows = [row for row in read_truth(transport.truth) if inside[0][0] <= row.t_ns <= inside[-1][0]]
    true_w = (rows[-1].energy_j - rows[0].energy_j) / ((rows[-1].t_ns - rows[0].t_ns) * 1e-9)
    assert mean_w == pytest.approx(true_w, rel=0.2)
    assert 2.7 < true_w <= 2.7 + 0.925 * 1.2


def test_temperature_and_clock_travel_with_the_window(recordings):
    header, _ = recordings[2][1]
    assert 46.0 < header["state_before"]["temperatures_c"]["cpu-thermal"] < 60.0
    assert header["state_before"]["frequencies_hz"] == {"policy0": 1_500_000_000}
    _, _, celsius = trace(recordings[2][1], "temperature_c")
    assert celsius[-1] > celsius[0]


def test_no_read_failed(recordings):
    for header, _ in recordings[2]:
        assert [each["errors"] for each in header["traces"]] == [[] for _ in header["traces"]]
        assert header["error"] is None
