"""Power sensors on the board."""

import pytest

from agents.probes.base import Channel, Unavailable
from agents.probes.hwmon_power import HwmonPowerProbe
from tests.support.sysfs_trees import FUEL_GAUGE, INA226, JETSON_ORIN_NANO, write_tree

HWMON = "sys/class/hwmon/hwmon0"


def discover(root, files):
    return HwmonPowerProbe().discover(write_tree(root, files))


def rails(root, files):
    return [(channel.rail, channel.quantity) for channel in discover(root, files)]


def chip(name, **files):
    return {f"{HWMON}/name": name, **{f"{HWMON}/{file}": value for file, value in files.items()}}


def test_jetson_rails_are_current_and_voltage_under_the_board_s_labels(tmp_path):
    assert rails(tmp_path, JETSON_ORIN_NANO) == [
        ("VDD_IN", "current_a"), ("VDD_IN", "voltage_v"),
        ("VDD_CPU_GPU_CV", "current_a"), ("VDD_CPU_GPU_CV", "voltage_v"),
        ("VDD_SOC", "current_a"), ("VDD_SOC", "voltage_v"),
    ]


def test_jetson_readings_are_milliamperes_and_millivolts(tmp_path):
    probe = HwmonPowerProbe()
    channels = probe.discover(write_tree(tmp_path, JETSON_ORIN_NANO))
    assert {channel.scale for channel in channels} == {1e-3}
    assert [reading.raw for reading in probe.read()] == [952, 5040, 144, 5032, 288, 5032]


@pytest.mark.parametrize("number", [2, 3])
def test_a_channel_switched_off_is_no_rail(tmp_path, number):
    files = {**JETSON_ORIN_NANO, f"sys/class/hwmon/hwmon1/in{number}_enable": "0"}
    label = files[f"sys/class/hwmon/hwmon1/in{number}_label"]
    assert label not in dict(rails(tmp_path, files))


def test_an_unconnected_channel_is_no_rail(tmp_path):
    files = {**JETSON_ORIN_NANO, "sys/class/hwmon/hwmon1/in3_label": "NC"}
    assert {rail for rail, _ in rails(tmp_path, files)} == {"VDD_IN", "VDD_CPU_GPU_CV"}


def test_power_is_preferred_to_current_and_voltage(tmp_path):
    assert discover(tmp_path, INA226) == (Channel("ina226/power1", "power_w", "sample", 1e-6),)


def test_a_label_names_the_rail(tmp_path):
    assert rails(tmp_path, {**INA226, f"{HWMON}/power1_label": "VDD_IN"}) == [("VDD_IN", "power_w")]


def test_an_energy_counter_is_preferred_to_power(tmp_path):
    files = {**INA226, f"{HWMON}/energy1_input": "123456789", f"{HWMON}/power1_label": "VDD_IN"}
    assert discover(tmp_path, files) == (Channel("VDD_IN", "energy_j", "counter", 1e-6),)


def test_an_energy_counter_of_the_same_label_replaces_power_of_another_number(tmp_path):
    files = chip("x", power1_input="5", power1_label="VIN", energy2_input="7", energy2_label="VIN",
                 power3_input="9", power3_label="VOUT")
    assert rails(tmp_path, files) == [("VIN", "energy_j"), ("VOUT", "power_w")]


def test_an_energy_counter_switched_off_leaves_power(tmp_path):
    files = {**INA226, f"{HWMON}/energy1_input": "0", f"{HWMON}/energy1_enable": "0"}
    assert rails(tmp_path, files) == [("ina226/power1", "power_w")]


def test_energy_alone_without_label(tmp_path):
    assert rails(tmp_path, chip("amd_energy", energy1_input="1")) == [("amd_energy/energy1", "energy_j")]


def test_an_average_is_a_mean_over_an_interval(tmp_path):
    (channel,) = discover(tmp_path, chip("power_meter", power1_average="213000000"))
    assert (channel.rail, channel.kind) == ("power_meter/power1", "interval_mean")


def test_an_input_is_preferred_to_its_average(tmp_path):
    probe = HwmonPowerProbe()
    (channel,) = probe.discover(write_tree(tmp_path, chip("x", power1_average="1", power1_input="2")))
    assert channel.kind == "sample"
    assert probe.read()[0].raw == 2


def test_the_shunt_sum_and_shunt_voltages_are_no_rails(tmp_path):
    text = str(rails(tmp_path, JETSON_ORIN_NANO))
    assert "shunt" not in text
    assert "curr4" not in text


def test_a_shunt_label_on_any_chip_is_no_rail(tmp_path):
    files = chip("other", in1_input="1", in1_label="Sum of Shunt voltages", curr1_input="2")
    assert isinstance(discover(tmp_path, files), Unavailable)


def test_an_unlabelled_pair_shares_one_name(tmp_path):
    assert rails(tmp_path, chip("ina3221", in2_input="1", curr2_input="2")) == [
        ("ina3221/curr2", "current_a"), ("ina3221/curr2", "voltage_v")]


@pytest.mark.parametrize("files", [
    {"in1_input": "12000"}, {"curr1_input": "5"}, {"in0_input": "1", "curr1_input": "5"}, {"temp1_input": "40000"},
    {"power1_cap": "15000000"}, {"power1_max": "15000000"}, {},
])
def test_inputs_that_give_no_power_are_no_rails(tmp_path, files):
    assert isinstance(discover(tmp_path, chip("x", **files)), Unavailable)


def test_fuel_gauges_are_not_power_sensors(tmp_path):
    found = discover(tmp_path, FUEL_GAUGE)
    assert isinstance(found, Unavailable)
    assert "external meter" in found.reason


def test_a_gauge_of_any_name_is_known_by_its_power_supply(tmp_path):
    files = chip("bq27541_0", curr1_input="1", in1_input="2")
    files["sys/class/power_supply/bq27541-0/type"] = "Battery"
    assert isinstance(discover(tmp_path, files), Unavailable)


def test_a_gauge_is_known_by_its_device_s_class(tmp_path):
    root = write_tree(tmp_path, {**chip("sbs", curr1_input="1", in1_input="2"), "sys/class/other/x": ""})
    device = root / "sys/devices/sbs"
    device.mkdir(parents=True)
    (root / "sys/class/power_supply").mkdir()
    (device / "subsystem").symlink_to(root / "sys/class/power_supply")
    (root / HWMON / "device").symlink_to(device)
    assert isinstance(HwmonPowerProbe().discover(root), Unavailable)


def test_a_converter_whose_name_begins_like_a_charger_s_stays(tmp_path):
    assert rails(tmp_path, chip("adp1050", power1_input="1", power1_label="pout1")) == [("pout1", "power_w")]


def test_two_chips_of_one_kind_are_told_apart_by_their_bus_address(tmp_path):
    root = write_tree(tmp_path, INA226)
    write_tree(root, {name.replace("hwmon0", "hwmon1"): value for name, value in INA226.items()})
    for number, address in ((0, "1-0040"), (1, "1-0041")):
        device = root / "sys/devices" / address
        device.mkdir(parents=True)
        (root / f"sys/class/hwmon/hwmon{number}/device").symlink_to(device)
    found = HwmonPowerProbe().discover(root)
    assert [channel.rail for channel in found] == ["ina226/power1@1-0040", "ina226/power1@1-0041"]


def test_old_kernels_keep_the_files_in_the_device_s_folder(tmp_path):
    files = {name.replace("hwmon0/", "hwmon0/device/"): value for name, value in INA226.items()}
    assert rails(tmp_path, files) == [("ina226/power1", "power_w")]


def test_a_chip_without_any_name_goes_by_its_number(tmp_path):
    assert rails(tmp_path, {f"{HWMON}/power1_input": "1"}) == [("hwmon0/power1", "power_w")]


def test_a_negative_current_stays_negative(tmp_path):
    probe = HwmonPowerProbe()
    probe.discover(write_tree(tmp_path, chip("ina219", in1_input="5000", curr1_input="-12")))
    assert [reading.raw for reading in probe.read()] == [-12, 5000]
