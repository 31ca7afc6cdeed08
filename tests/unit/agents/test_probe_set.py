"""Probes are found by name; one that cannot be read is named with its reason and stops nothing."""

import pytest

from agents.probe_set import MAX_CHANNELS, Missing, OpenProbe, open_probes, read_state
from agents.probes.base import Channel, Reading, Unavailable
from tests.support import fake_probes

REGISTRY = {name: f"tests.support.fake_probes:{name}" for name in
            ("Steady", "Absent", "Forbidden", "Breaking", "Temperature", "Crowd")}


def test_what_can_be_read_is_opened_in_order_and_once(tmp_path):
    opened, missing = open_probes(["Temperature", "Steady", "Temperature"], tmp_path, REGISTRY)
    assert [probe.name for probe in opened] == ["Temperature", "Steady"]
    assert opened[1].channels == fake_probes.Steady().discover(tmp_path)
    assert missing == []


@pytest.mark.parametrize(("name", "code", "reason"), [
    ("nobody", "unknown", "knows only"), ("Absent", "absent", "nothing here"), ("Forbidden", "permission", "root"),
    ("Breaking", "error", "bus"),
])
def test_what_cannot_be_read_says_why(tmp_path, name, code, reason):
    opened, (missing,) = open_probes([name, "Steady"], tmp_path, REGISTRY)
    assert [probe.name for probe in opened] == ["Steady"]
    assert missing.code == code
    assert reason in missing.reason


def test_a_probe_whose_code_is_not_there_is_an_error_not_a_crash(tmp_path):
    for target in ("tests.support.no_such_module:X", "tests.support.fake_probes:NoSuchClass"):
        _, (missing,) = open_probes(["x"], tmp_path, {"x": target})
        assert missing.code == "error"


def test_memory_is_no_probe_and_no_fault(tmp_path):
    assert open_probes(["memory"], tmp_path, REGISTRY) == ([], [])


def test_more_channels_than_a_recording_holds_leave_that_probe_out(tmp_path):
    opened, (missing,) = open_probes(["Steady", "Crowd"], tmp_path, REGISTRY)
    assert [probe.name for probe in opened] == ["Steady"]
    assert f"more than {MAX_CHANNELS}" in missing.reason


@pytest.mark.parametrize(("missing", "expected"), [
    (Missing("rapl", "permission", "x"), [("power_unreadable", "degraded")]),
    (Missing("rapl", "error", "x"), [("power_unreadable", "degraded")]),
    (Missing("rapl", "absent", "x"), []),
    (Missing("thermal", "absent", "x"), [("temperature_unknown", "info")]),
    (Missing("cpufreq", "permission", "x"), [("frequency_unknown", "info")]),
    (Missing("zzz", "unknown", "x"), [("probe_unknown", "info")]),
])
def test_what_a_missing_probe_means_for_a_window(missing, expected):
    assert [(flag["code"], flag["severity"]) for flag in missing.flags()] == expected
    assert all(missing.name in flag["detail"] for flag in missing.flags())


class Sensors:
    """Gives the readings it was made with."""

    def __init__(self, channels, readings):
        self._channels, self._readings = channels, readings

    def discover(self, root):  # noqa: ARG002
        return self._channels

    def read(self):
        if isinstance(self._readings, OSError):
            raise self._readings
        return self._readings


def opened(channels, readings):
    return OpenProbe("sensors", Sensors(channels, readings), tuple(channels))


def test_state_is_in_si_units_and_leaves_out_what_failed():
    channels = [Channel("cpu", "temperature_c", "sample", 1e-3), Channel("gpu", "temperature_c", "sample", 1e-3),
                Channel("policy0", "frequency_hz", "sample", 1000.0), Channel("in", "power_w", "sample", 1e-6)]
    readings = [Reading(1, 2, 41500), Reading(1, 2, None, 5), Reading(1, 2, 1_800_000), Reading(1, 2, 7)]
    state = read_state([opened(channels, readings)], set())
    assert state == {"temperatures_c": {"cpu": pytest.approx(41.5)}, "frequencies_hz": {"policy0": 1_800_000_000}}
    assert isinstance(state["frequencies_hz"]["policy0"], int)


def test_a_sensor_that_went_away_leaves_the_others():
    channel = [Channel("cpu", "temperature_c", "sample", 1.0)]
    gone = opened(channel, OSError(19, "no such device"))
    assert read_state([gone, opened(channel, [Reading(1, 2, 40)])], set())["temperatures_c"] == {"cpu": 40.0}
    assert read_state([], set()) == {"temperatures_c": {}, "frequencies_hz": {}}


@pytest.mark.parametrize(("quantity", "scale", "raw", "is_kept"), [
    ("temperature_c", 1e-3, -(2**31), False), ("temperature_c", 1e-3, -100_001, False),
    ("temperature_c", 1e-3, -100_000, True), ("temperature_c", 1e-3, 0, True),
    ("temperature_c", 1e-3, 300_000, True), ("temperature_c", 1e-3, 300_001, False),
    ("frequency_hz", 1e3, 0, False), ("frequency_hz", 1e3, -1, False), ("frequency_hz", 1e3, 1, True),
    ("frequency_hz", 1e3, 10**9, True), ("frequency_hz", 1e3, 10**9 + 1, False),
])
def test_readings_that_cannot_be_are_absent_not_zero(quantity, scale, raw, is_kept):
    channels = [Channel("cpu", quantity, "sample", scale), Channel("gpu", "temperature_c", "sample", 1.0)]
    state = read_state([opened(channels, [Reading(1, 2, raw), Reading(1, 2, 40)])], set())
    found = {**state["temperatures_c"], **state["frequencies_hz"]}
    assert found == ({"cpu": pytest.approx(raw * scale), "gpu": 40.0} if is_kept else {"gpu": 40.0})


def test_a_sensor_that_hangs_is_left_out_and_not_asked_again():
    channel = [Channel("cpu", "temperature_c", "sample", 1.0)]
    stuck, hanging = fake_probes.Hanging(), set()
    probes = [OpenProbe("stuck", stuck, tuple(channel)), opened(channel, [Reading(1, 2, 40)])]
    try:
        for _ in range(2):
            assert read_state(probes, hanging, 0.05)["temperatures_c"] == {"cpu": 40.0}
            assert hanging == {"stuck"}
        assert stuck.reads == 1
    finally:
        stuck.released.set()


def test_an_unavailable_probe_reports_the_code_it_gave(tmp_path):
    assert isinstance(fake_probes.Absent().discover(tmp_path), Unavailable)
