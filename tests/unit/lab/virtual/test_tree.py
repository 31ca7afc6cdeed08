"""The simulated tree: real probes read it, readers never see half a number, and it says what it is."""

import os
import threading

import pytest

from agents.probes.base import Channel
from agents.probes.cpufreq import CpufreqProbe
from agents.probes.hwmon_power import HwmonPowerProbe
from agents.probes.rapl import RaplProbe
from agents.probes.thermal import ThermalProbe
from lab.virtual.physics import BoardState, Physics
from lab.virtual.tree import VirtualTree, model_text
from tests.support.sysfs_trees import write_tree
from tests.support.virtual_agent import PHYSICS

BOARD = Physics.from_pairs(PHYSICS.items())
HOST_CPUINFO = """processor\t: 0
vendor_id\t: Maker
model name\t: Host Processor 3000
flags\t\t: avx2 aes avx512_vnni

processor\t: 1
model name\t: Host Processor 3000
flags\t\t: avx2 aes avx512_vnni
"""


def state(temperature_c=41.2345, clock_hz=1_500_000_000):
    return BoardState(elapsed_ns=0, cpu_ns=0, temperature_c=temperature_c, clock_hz=clock_hz)


@pytest.fixture
def tree(tmp_path):
    host = write_tree(tmp_path / "host", {"proc/cpuinfo": HOST_CPUINFO})
    tree = VirtualTree(tmp_path / "board", "Some Board", BOARD, host_root=host)
    tree.show(state(), 2.5)
    yield tree
    tree.close()


@pytest.fixture
def root(tree, tmp_path):
    return tmp_path / "board"


def test_the_real_probes_find_their_sensors(root):
    assert HwmonPowerProbe().discover(root) == (Channel("VDD_IN", "power_w", "sample", 1e-6),)
    assert ThermalProbe().discover(root) == (Channel("cpu-thermal", "temperature_c", "sample", 1e-3),)
    assert CpufreqProbe().discover(root) == (Channel("policy0", "frequency_hz", "sample", 1e3),)
    assert RaplProbe().discover(root).code == "absent"


def test_values_are_in_the_kernel_s_units(root):
    raw = {}
    for probe in (HwmonPowerProbe(), ThermalProbe(), CpufreqProbe()):
        (channel,) = probe.discover(root)
        raw[channel.quantity] = probe.read()[0].raw
    assert raw == {"power_w": 2_500_000, "temperature_c": 41_234, "frequency_hz": 1_500_000}


def test_an_open_probe_sees_every_change(tree, root):
    probe = HwmonPowerProbe()
    probe.discover(root)
    seen = []
    for power_w in (2.0, 12.5, 0.0, 999.0, 3.25):
        tree.show(state(), power_w)
        seen.append(probe.read()[0].raw)
    assert seen == [2_000_000, 12_500_000, 0, 999_000_000, 3_250_000]


def test_negative_temperatures_fit(tree, root):
    tree.show(state(temperature_c=-12.5), 1.0)
    probe = ThermalProbe()
    probe.discover(root)
    assert probe.read()[0].raw == -12_500


def test_a_reader_never_sees_half_a_number(tree, root):
    allowed = {1_000_000 * n for n in (1, 22, 333)}
    tree.show(state(), 1.0)
    probe = HwmonPowerProbe()
    probe.discover(root)
    stop = threading.Event()

    def keep_writing():
        while not stop.is_set():
            for power_w in (1.0, 22.0, 333.0):
                tree.show(state(), power_w)

    writer = threading.Thread(target=keep_writing)
    writer.start()
    try:
        seen = {probe.read()[0].raw for _ in range(20_000)}
    finally:
        stop.set()
        writer.join()
    assert seen <= allowed
    assert len(seen) > 1, "nothing changed while reading"


def test_values_keep_their_length(tree, root):
    sizes = set()
    for power_w in (0.0, 1.0, 900.0):
        tree.show(state(temperature_c=power_w), power_w)
        sizes.add((root / "sys/class/hwmon/hwmon0/power1_input").stat().st_size)
    assert len(sizes) == 1


@pytest.mark.parametrize("name", ["proc/device-tree/model", "sys/firmware/devicetree/base/model", "proc/cpuinfo"])
def test_the_board_says_plainly_that_it_is_simulated(root, name):
    assert "JouleLab virtual board (simulated), like Some Board" in (root / name).read_text()


def test_the_host_s_processors_and_features_are_kept_its_name_is_not(root):
    text = (root / "proc/cpuinfo").read_text()
    assert text.count("processor\t:") == 2
    assert "avx512_vnni" in text
    assert "Host Processor" not in text


def test_a_host_without_cpuinfo_leaves_the_name(tmp_path):
    VirtualTree(tmp_path / "board", "B", BOARD, host_root=tmp_path / "nothing").close()
    assert model_text("B") in (tmp_path / "board/proc/cpuinfo").read_text()


def test_memory_is_the_board_s(root):
    assert (root / "proc/meminfo").read_text() == "MemTotal:       4194304 kB\n"


def test_a_second_tree_over_the_first_keeps_open_files_valid(tree, root):
    probe = HwmonPowerProbe()
    probe.discover(root)
    second = VirtualTree(root, "Some Board", BOARD)
    second.show(state(), 7.0)
    second.close()
    assert probe.read()[0].raw == 7_000_000


def test_close_gives_descriptors_back_and_leaves_the_last_values(tmp_path):
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - counting, not walking
    tree = VirtualTree(tmp_path, "B", BOARD)
    tree.show(state(), 5.0)
    tree.close()
    tree.close()
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
    assert int((tmp_path / "sys/class/hwmon/hwmon0/power1_input").read_text()) == 5_000_000
