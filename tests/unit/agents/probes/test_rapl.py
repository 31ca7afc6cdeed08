"""Energy counters of the processor."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.probes.base import Unavailable
from agents.probes.rapl import RaplProbe, wrap_at
from tests.support.sysfs_trees import RAPL_LAPTOP, unprivileged_tree, write_tree


def without(tree, text):
    return {name: value for name, value in tree.items() if text not in name}


def discover(root, files):
    return RaplProbe().discover(write_tree(root, files))


def test_zones_are_counters_of_microjoules_named_from_the_package_down(tmp_path):
    channels = discover(tmp_path, RAPL_LAPTOP)
    assert [channel.rail for channel in channels] == ["package-0", "package-0/core", "package-0/dram", "psys"]
    kinds = {(channel.quantity, channel.kind, channel.scale) for channel in channels}
    assert kinds == {("energy_j", "counter", 1e-6)}


def test_readings_are_the_raw_counters_in_that_order(tmp_path):
    probe = RaplProbe()
    probe.discover(write_tree(tmp_path, RAPL_LAPTOP))
    assert [reading.raw for reading in probe.read()] == [61034567890, 21034567890, 1034567890, 99034567890]


def test_the_second_view_of_the_same_registers_is_not_counted(tmp_path):
    rails = [channel.rail for channel in discover(tmp_path, RAPL_LAPTOP)]
    assert rails.count("package-0") == 1
    assert not [rail for rail in rails if "@" in rail]


def test_the_second_view_serves_where_it_is_the_only_one(tmp_path):
    only = {name: value for name, value in RAPL_LAPTOP.items() if "mmio" in name}
    assert [channel.rail for channel in discover(tmp_path, only)] == ["package-0"]


def test_two_packages(tmp_path):
    second = {name.replace("rapl:0", "rapl:2"): value.replace("package-0", "package-1")
              for name, value in RAPL_LAPTOP.items() if "rapl:0" in name}
    rails = [channel.rail for channel in discover(tmp_path, {**RAPL_LAPTOP, **second})]
    assert rails == ["package-0", "package-0/core", "package-0/dram", "psys", "package-1", "package-1/core",
                     "package-1/dram"]


def test_more_than_ten_zones_stay_in_order(tmp_path):
    files = {}
    for number in range(12):
        files[f"sys/class/powercap/intel-rapl:{number}/name"] = f"package-{number}"
        files[f"sys/class/powercap/intel-rapl:{number}/energy_uj"] = str(number)
    assert [channel.rail for channel in discover(tmp_path, files)] == [f"package-{n}" for n in range(12)]


def test_a_zone_without_a_name_goes_by_its_folder(tmp_path):
    channels = discover(tmp_path, without(RAPL_LAPTOP, "intel-rapl:0/name"))
    assert [channel.rail for channel in channels][:2] == ["intel-rapl:0", "intel-rapl:0/core"]


def test_zones_of_other_drivers_are_left_alone(tmp_path):
    other = {"sys/class/powercap/dtpm:0/name": "soc", "sys/class/powercap/dtpm:0/energy_uj": "1"}
    assert isinstance(discover(tmp_path, other), Unavailable)


def test_names_without_counters_are_absent(tmp_path):
    """Containers hide the counters and leave the names of the folders."""
    found = discover(tmp_path, without(RAPL_LAPTOP, "energy_uj"))
    assert isinstance(found, Unavailable)
    assert found.code == "absent"


def test_counters_for_root_only_name_the_file_and_the_way_out():
    with unprivileged_tree(RAPL_LAPTOP, mode=0o400) as root:
        found = RaplProbe().discover(root)
    assert isinstance(found, Unavailable)
    assert found.code == "permission"
    assert "intel-rapl:0/energy_uj: permission denied" in found.reason
    assert "sudo chmod a+r" in found.reason


@pytest.mark.parametrize("text", [None, "", "0", "-5", "many"])
def test_a_range_that_is_not_said_is_not_guessed(tmp_path, text):
    if text is not None:
        (tmp_path / "max_energy_range_uj").write_text(text)
    assert wrap_at(tmp_path) is None


@given(unit_nj=st.integers(min_value=1_000, max_value=1_000_000))
def test_a_wrapped_difference_is_right_to_the_microjoule(tmp_path_factory, unit_nj):
    """The kernel shows register · unit; going on from the last register value must cost exactly one step."""
    zone = tmp_path_factory.getbasetemp() / "zone"
    zone.mkdir(exist_ok=True)

    def shown(register):
        return register * unit_nj // 1000

    (zone / "max_energy_range_uj").write_text(f"{shown(2**32 - 1)}\n")
    modulus = wrap_at(zone)
    for steps in (1, 5, 1000):
        seen = (shown(steps - 1) - shown(2**32 - 1)) % modulus
        assert abs(seen - steps * unit_nj / 1000) <= 2
