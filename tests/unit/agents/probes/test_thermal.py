"""Temperatures."""

from agents.probes.base import Channel, Unavailable
from agents.probes.thermal import ThermalProbe
from tests.support.sysfs_trees import THERMAL, write_tree


def test_zones_are_named_by_type_in_thousandths_of_a_degree(tmp_path):
    probe = ThermalProbe()
    channels = probe.discover(write_tree(tmp_path, THERMAL))
    assert channels == (Channel("cpu-thermal", "temperature_c", "sample", 1e-3),
                        Channel("gpu-thermal", "temperature_c", "sample", 1e-3))
    assert [reading.raw for reading in probe.read()] == [45277, -1500]


def test_two_zones_of_one_type_are_told_apart(tmp_path):
    files = {**THERMAL, "sys/class/thermal/thermal_zone1/type": "cpu-thermal"}
    rails = [channel.rail for channel in ThermalProbe().discover(write_tree(tmp_path, files))]
    assert rails == ["cpu-thermal@thermal_zone0", "cpu-thermal@thermal_zone1"]


def test_a_zone_without_a_type_goes_by_its_number(tmp_path):
    files = {"sys/class/thermal/thermal_zone3/temp": "1000"}
    assert ThermalProbe().discover(write_tree(tmp_path, files))[0].rail == "thermal_zone3"


def test_cooling_devices_are_not_zones(tmp_path):
    files = {"sys/class/thermal/cooling_device0/type": "fan", "sys/class/thermal/cooling_device0/temp": "1"}
    assert isinstance(ThermalProbe().discover(write_tree(tmp_path, files)), Unavailable)
