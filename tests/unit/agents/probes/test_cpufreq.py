"""Clock frequencies."""

import pytest

from agents.probes.base import Channel
from agents.probes.cpufreq import CpufreqProbe
from tests.support.sysfs_trees import CPUFREQ, write_tree


def test_one_channel_per_policy_in_kilohertz(tmp_path):
    probe = CpufreqProbe()
    channels = probe.discover(write_tree(tmp_path, CPUFREQ))
    assert channels == (Channel("policy0", "frequency_hz", "sample", 1e3),
                        Channel("policy4", "frequency_hz", "sample", 1e3))
    assert [reading.raw * 1e3 for reading in probe.read()] == pytest.approx([1.5e9, 2.208e9])


def test_old_kernels_show_it_per_core(tmp_path):
    files = {"sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "1000000",
             "sys/devices/system/cpu/cpu1/cpufreq/scaling_cur_freq": "1200000",
             "sys/devices/system/cpu/cpu2/topology/core_id": "2"}
    probe = CpufreqProbe()
    assert [channel.rail for channel in probe.discover(write_tree(tmp_path, files))] == ["cpu0", "cpu1"]
    assert [reading.raw for reading in probe.read()] == [1000000, 1200000]


def test_policies_are_not_read_twice_through_the_cores(tmp_path):
    files = {**CPUFREQ, "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "1500000"}
    rails = [channel.rail for channel in CpufreqProbe().discover(write_tree(tmp_path, files))]
    assert rails == ["policy0", "policy4"]


def test_the_number_of_cores_does_not_confuse_folders_with_cores(tmp_path):
    files = {**CPUFREQ, "sys/devices/system/cpu/cpuidle/current_driver": "none"}
    rails = [channel.rail for channel in CpufreqProbe().discover(write_tree(tmp_path, files))]
    assert rails == ["policy0", "policy4"]
