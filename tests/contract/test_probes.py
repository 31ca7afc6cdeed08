"""What every registered probe must do, over trees with its source present, absent, refused and failing."""

import errno
import importlib
from pathlib import Path
from typing import NamedTuple

import pytest

from agents.probes import PROBES
from agents.probes.base import Channel, Reading, Unavailable
from tests.support.sysfs_trees import (
    CPUFREQ,
    FUEL_GAUGE,
    JETSON_ORIN_NANO,
    RAPL_LAPTOP,
    THERMAL,
    break_file,
    unprivileged_tree,
    write_tree,
)

QUANTITIES = {"power_w", "energy_j", "current_a", "voltage_v", "temperature_c", "frequency_hz"}
KINDS = {"sample", "interval_mean", "counter"}


class Source(NamedTuple):
    """A tree that has a probe's source, the pattern of the files it reads, and one of those."""

    tree: dict
    pattern: str
    one: str


SOURCES = {
    "rapl": Source(RAPL_LAPTOP, "energy_uj", "sys/class/powercap/intel-rapl:0:1/energy_uj"),
    "hwmon_power": Source(JETSON_ORIN_NANO, "*_input", "sys/class/hwmon/hwmon1/curr2_input"),
    "thermal": Source(THERMAL, "temp", "sys/class/thermal/thermal_zone1/temp"),
    "cpufreq": Source(CPUFREQ, "scaling_cur_freq", "sys/devices/system/cpu/cpufreq/policy4/scaling_cur_freq"),
}


@pytest.fixture(params=sorted(PROBES))
def name(request):
    return request.param


@pytest.fixture
def probe(name):
    module, cls = PROBES[name].split(":")
    probe = getattr(importlib.import_module(module), cls)()
    yield probe
    probe.close()


def source(name):
    """A newcomer's probe fails here until it has a tree to be tested on."""
    assert name in SOURCES, f"add a tree for probe {name!r} to SOURCES"
    return SOURCES[name]


def files_read(root: Path, pattern: str) -> list:
    return [path for path in sorted(root.rglob(pattern)) if path.is_file()]


def test_every_channel_is_described_in_the_agreed_words(probe, name, tmp_path):
    channels = probe.discover(write_tree(tmp_path, source(name).tree))
    assert isinstance(channels, tuple)
    assert channels
    for channel in channels:
        assert isinstance(channel, Channel)
        assert channel.rail
        assert channel.quantity in QUANTITIES
        assert channel.kind in KINDS
        assert channel.scale > 0
        assert channel.wrap_at is None or (channel.kind == "counter" and channel.wrap_at > 0)
    keys = [(channel.rail, channel.quantity) for channel in channels]
    assert len(set(keys)) == len(keys)


def test_one_reading_per_channel_stamped_before_and_after(name, tmp_path):
    module, cls = PROBES[name].split(":")
    ticks = iter(range(1_000_000))
    probe = getattr(importlib.import_module(module), cls)(clock=lambda: next(ticks))
    channels = probe.discover(write_tree(tmp_path, source(name).tree))
    readings = probe.read()
    assert len(readings) == len(channels)
    for reading in readings:
        assert isinstance(reading, Reading)
        assert isinstance(reading.raw, int)
        assert reading.t_before_ns < reading.t_after_ns
        assert reading.errno == 0
    assert [r.t_before_ns for r in readings] == sorted(r.t_before_ns for r in readings)


def test_a_value_written_later_is_seen(probe, name, tmp_path):
    tree, pattern, _ = source(name)
    probe.discover(write_tree(tmp_path, tree))
    before = probe.read()
    for path in files_read(tmp_path, pattern):
        path.write_text("7\n")
    assert {reading.raw for reading in probe.read()} == {7}
    assert {reading.raw for reading in before} != {7}


def test_an_empty_root_is_absent_with_a_reason(probe, tmp_path):
    found = probe.discover(tmp_path)
    assert isinstance(found, Unavailable)
    assert found.code == "absent"
    assert len(found.reason) > 20
    assert probe.read() == ()


def test_a_tree_without_this_source_is_absent(probe, name, tmp_path):
    for other in set(SOURCES) - {name}:
        write_tree(tmp_path, SOURCES[other].tree)
    if name == "hwmon_power":
        write_tree(tmp_path, FUEL_GAUGE)
    found = probe.discover(tmp_path)
    assert isinstance(found, Unavailable)
    assert found.code == "absent"


def test_files_without_permission_say_so_and_what_helps(probe, name):
    with unprivileged_tree(source(name).tree, mode=0o200) as root:
        found = probe.discover(root)
    assert isinstance(found, Unavailable)
    assert found.code == "permission"
    assert "permission denied" in found.reason.lower()
    advice = found.reason.lower().split("permission denied", 1)[1]
    assert len(advice) > 20, "the reason must say what would help"
    assert probe.read() == ()


def test_a_folder_without_permission_is_a_matter_of_permission_too(probe, name):
    with unprivileged_tree(source(name).tree, mode=0o644, folder_mode=0o700) as root:
        found = probe.discover(root)
    assert isinstance(found, Unavailable)
    assert found.code == "permission"


def test_a_failing_read_is_missing_with_its_errno_and_never_zero(probe, name, tmp_path):
    tree, pattern, _ = source(name)
    write_tree(tmp_path, tree)
    for path in files_read(tmp_path, pattern):
        break_file(path)
    channels = probe.discover(tmp_path)
    readings = probe.read()
    assert len(readings) == len(channels) > 0
    assert {(reading.raw, reading.errno) for reading in readings} == {(None, errno.EIO)}


@pytest.mark.parametrize(("text", "code"), [("", errno.ENODATA), ("<unknown>", errno.EBADMSG)])
def test_text_that_is_no_number_is_missing(probe, name, tmp_path, text, code):
    tree, pattern, _ = source(name)
    probe.discover(write_tree(tmp_path, tree))
    for path in files_read(tmp_path, pattern):
        path.write_text(text)
    assert {(reading.raw, reading.errno) for reading in probe.read()} == {(None, code)}


def test_one_failing_channel_leaves_the_others_alone(probe, name, tmp_path):
    write_tree(tmp_path, source(name).tree)
    break_file(tmp_path / source(name).one)
    probe.discover(tmp_path)
    readings = probe.read()
    assert [reading.raw is None for reading in readings].count(True) == 1
    assert any(reading.raw is not None for reading in readings)


def test_discover_again_starts_afresh(probe, name, tmp_path):
    root = write_tree(tmp_path / "one", source(name).tree)
    first = probe.discover(root)
    assert probe.discover(root) == first
    (tmp_path / "two").mkdir()
    assert isinstance(probe.discover(tmp_path / "two"), Unavailable)
    assert probe.read() == ()
