"""The device check: every finding says what it means and what would change it."""

import pytest

from lab.devices.doctor import CheckLine, check_device, clock_line
from lab.devices.session import AgentSession
from lab.domain.device import DeviceProfile, Rail, Scope
from lab.domain.recording import ClockSync
from tests.support.scripted_agent import FACTS, ScriptedAgent, bundle, refusal


def lines_of(agent, profile=None):
    with AgentSession.open(agent.transport(), bundle(), timeout_s=5) as session:
        return {line.name: line for line in check_device(session, profile)}


def profile_with(*rails):
    return DeviceProfile(name="my-board", title="My board", transport="ssh", rails=tuple(
        Rail(name=name, scope=Scope.BOARD_DC, source="hwmon_power", headline=headline) for name, headline in rails))


def facts_with(**changes):
    return ScriptedAgent(facts={**FACTS, **changes})


def test_a_good_device_is_all_ok_in_fixed_order():
    agent = ScriptedAgent()
    lines = lines_of(agent)
    assert list(lines) == ["python", "runtime", "power", "temperature", "clock", "memory", "aes", "clock sync", "lease"]
    assert {line.status for line in lines.values()} == {"ok"}
    assert lines["python"].text == "3.9.18 on Linux aarch64"
    assert lines["power"].text == "VDD_IN (hwmon_power, power_w)"
    assert lines["memory"].text == "2048 MiB"
    assert agent.holder is None


def test_no_onnxruntime_fails_with_the_line_to_type():
    agent = facts_with(runtimes={"no_op": "1"}, runtimes_missing={"onnx_runtime": "No module named 'onnxruntime'"})
    line = lines_of(agent)["runtime"]
    assert line.status == "fail"
    assert "No module named 'onnxruntime'" in line.text
    assert line.text.endswith("on the device: python3 -m pip install numpy onnxruntime")


def test_no_power_reading_warns_with_the_reason_and_a_way_out():
    channels = [channel for channel in FACTS["channels"] if channel["quantity"] != "power_w"]
    line = lines_of(facts_with(channels=channels))["power"]
    assert line.status == "warn"
    assert "rapl: absent: no powercap folder" in line.text
    assert "USB-C inline meter" in line.text


@pytest.mark.parametrize("quantity", ["energy_j", "current_a", "voltage_v"])
def test_any_electrical_quantity_counts_as_a_reading(quantity):
    channels = [{"probe": "p", "rail": "r", "quantity": quantity, "kind": "counter"}]
    assert lines_of(facts_with(channels=channels))["power"].status == "ok"


@pytest.mark.parametrize("profile", [
    None, profile_with(("VDD_IN", True)), profile_with(("USB", False), ("VDD_*", True))])
def test_power_that_becomes_the_device_s_energy_is_fine(profile):
    assert lines_of(ScriptedAgent(), profile)["power"].status == "ok"


@pytest.mark.parametrize("rails", [
    (), (("*", False),), (("VDD_OUT", True),), (("VDD_IN", False), ("VDD_*", True))])
def test_power_that_the_profile_does_not_call_energy_warns(rails):
    """Readable, and yet every result would be without energy; the first line that names a rail counts."""
    line = lines_of(ScriptedAgent(), profile_with(*rails))["power"]
    assert line.status == "warn"
    assert line.text.startswith("readable: VDD_IN (hwmon_power, power_w), but profile my-board names none")
    assert "choose --profile" in line.text


def test_facts_that_are_known_are_not_asked_for_again():
    agent = ScriptedAgent()
    with AgentSession.open(agent.transport(), bundle(), timeout_s=5) as session:
        facts = session.facts()
        agent.answers["facts"] = lambda request: refusal(request, "busy", "asked twice")
        lines = check_device(session, facts=facts)
    assert lines[0].text == "3.9.18 on Linux aarch64"


def test_missing_sensors_warn_with_their_own_reason():
    unavailable = [{"probe": "thermal", "code": "permission", "reason": "not readable"}]
    lines = lines_of(facts_with(channels=[], unavailable=unavailable))
    assert lines["temperature"] == CheckLine(
        name="temperature", status="warn", text="heat cannot be told from noise: permission: not readable")
    assert lines["clock"].text == "changes of the CPU clock go unseen: no sensor found"
    assert "not readable" not in lines["power"].text


def test_little_or_unknown_memory_warns():
    assert lines_of(ScriptedAgent({"memory_bytes": None}))["memory"].status == "warn"
    assert lines_of(ScriptedAgent({"memory_bytes": 64 * 2**20}))["memory"] == CheckLine(
        name="memory", status="warn", text="64 MiB")


def test_aes_decides_the_cipher_and_is_no_fault():
    assert "AES-GCM" in lines_of(ScriptedAgent({"has_aes": True}))["aes"].text
    assert lines_of(ScriptedAgent({"has_aes": False}))["aes"].status == "ok"


def test_a_loosely_known_clock_warns():
    line = clock_line(ClockSync(offset_ns=0, uncertainty_ns=9_000_000, drift_ppm=None, exchanges=16))
    assert line.status == "warn"
    assert line.text.startswith("known to ±9.000 ms by 16 exchanges; more than 5 ms")


def test_a_device_in_use_warns_and_stays_in_use():
    agent = ScriptedAgent()
    agent.holder = "eve"
    line = lines_of(agent)["lease"]
    assert line.status == "warn"
    assert "in use by eve" in line.text
    assert agent.holder == "eve"


def test_a_lease_file_that_cannot_be_written_fails():
    agent = ScriptedAgent()
    agent.answers["lease.acquire"] = lambda request: refusal(request, "read_only", "home is read-only")
    assert lines_of(agent)["lease"] == CheckLine(
        name="lease", status="fail", text="the scripted device: lease.acquire failed (read_only): home is read-only")
