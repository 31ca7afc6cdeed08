"""Sysfs trees as boards show them, written below a folder of the test's own; standard library only."""

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

RAPL_LAPTOP = {
    "sys/class/powercap/intel-rapl/enabled": "1",
    "sys/class/powercap/intel-rapl:0/name": "package-0",
    "sys/class/powercap/intel-rapl:0/energy_uj": "61034567890",
    "sys/class/powercap/intel-rapl:0/max_energy_range_uj": "262143328850",
    "sys/class/powercap/intel-rapl:0:0/name": "core",
    "sys/class/powercap/intel-rapl:0:0/energy_uj": "21034567890",
    "sys/class/powercap/intel-rapl:0:0/max_energy_range_uj": "262143328850",
    "sys/class/powercap/intel-rapl:0:1/name": "dram",
    "sys/class/powercap/intel-rapl:0:1/energy_uj": "1034567890",
    "sys/class/powercap/intel-rapl:0:1/max_energy_range_uj": "65712999613",
    "sys/class/powercap/intel-rapl:1/name": "psys",
    "sys/class/powercap/intel-rapl:1/energy_uj": "99034567890",
    "sys/class/powercap/intel-rapl:1/max_energy_range_uj": "262143328850",
    "sys/class/powercap/intel-rapl-mmio/enabled": "1",
    "sys/class/powercap/intel-rapl-mmio:0/name": "package-0",
    "sys/class/powercap/intel-rapl-mmio:0/energy_uj": "61034567890",
    "sys/class/powercap/intel-rapl-mmio:0/max_energy_range_uj": "262143328850",
}

JETSON_ORIN_NANO = {
    "sys/class/hwmon/hwmon0/name": "pwmfan",
    "sys/class/hwmon/hwmon0/pwm1": "128",
    "sys/class/hwmon/hwmon1/name": "ina3221",
    "sys/class/hwmon/hwmon1/in1_label": "VDD_IN",
    "sys/class/hwmon/hwmon1/in1_input": "5040",
    "sys/class/hwmon/hwmon1/in1_enable": "1",
    "sys/class/hwmon/hwmon1/curr1_input": "952",
    "sys/class/hwmon/hwmon1/in2_label": "VDD_CPU_GPU_CV",
    "sys/class/hwmon/hwmon1/in2_input": "5032",
    "sys/class/hwmon/hwmon1/in2_enable": "1",
    "sys/class/hwmon/hwmon1/curr2_input": "144",
    "sys/class/hwmon/hwmon1/in3_label": "VDD_SOC",
    "sys/class/hwmon/hwmon1/in3_input": "5032",
    "sys/class/hwmon/hwmon1/in3_enable": "1",
    "sys/class/hwmon/hwmon1/curr3_input": "288",
    "sys/class/hwmon/hwmon1/in4_input": "5",
    "sys/class/hwmon/hwmon1/in5_input": "1",
    "sys/class/hwmon/hwmon1/in6_input": "1",
    "sys/class/hwmon/hwmon1/in7_input": "7",
    "sys/class/hwmon/hwmon1/in7_label": "sum of shunt voltages",
    "sys/class/hwmon/hwmon1/curr4_input": "1384",
    "sys/class/hwmon/hwmon1/shunt1_resistor": "5000",
    "sys/class/hwmon/hwmon2/name": "ucsi_source_psy_2_00081",
    "sys/class/hwmon/hwmon2/in0_input": "5000",
    "sys/class/hwmon/hwmon2/curr1_input": "3000",
    "sys/class/hwmon/hwmon2/in1_input": "5000",
    "sys/class/power_supply/ucsi-source-psy-2-00081/type": "USB",
}

INA226 = {
    "sys/class/hwmon/hwmon0/name": "ina226",
    "sys/class/hwmon/hwmon0/in0_input": "5",
    "sys/class/hwmon/hwmon0/in1_input": "5012",
    "sys/class/hwmon/hwmon0/curr1_input": "500",
    "sys/class/hwmon/hwmon0/power1_input": "2506250",
    "sys/class/hwmon/hwmon0/shunt_resistor": "10000",
}

FUEL_GAUGE = {
    "sys/class/hwmon/hwmon0/name": "test_battery",
    "sys/class/hwmon/hwmon0/in1_input": "3300",
    "sys/class/hwmon/hwmon0/curr1_input": "-1600",
    "sys/class/hwmon/hwmon1/name": "BAT0",
    "sys/class/hwmon/hwmon1/in1_input": "12000",
    "sys/class/hwmon/hwmon1/curr1_input": "900",
    "sys/class/hwmon/hwmon1/power1_input": "10800000",
}

THERMAL = {
    "sys/class/thermal/cooling_device0/type": "pwm-fan",
    "sys/class/thermal/thermal_zone0/type": "cpu-thermal",
    "sys/class/thermal/thermal_zone0/temp": "45277",
    "sys/class/thermal/thermal_zone1/type": "gpu-thermal",
    "sys/class/thermal/thermal_zone1/temp": "-1500",
}

CPUFREQ = {
    "sys/devices/system/cpu/cpufreq/policy0/scaling_cur_freq": "1500000",
    "sys/devices/system/cpu/cpufreq/policy4/scaling_cur_freq": "2208000",
    "sys/devices/system/cpu/cpufreq/boost": "1",
}


def write_tree(root: Path, files: dict) -> Path:
    """Write the files (path below root → text, a line feed is added) and return the root."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
    return root


def break_file(path: Path) -> None:
    """Make reads of this file fail with EIO, as a sensor's driver does when its bus is stuck.

    The file becomes a link to this process's memory, whose address 0 the kernel refuses to read.
    """
    path.unlink()
    path.symlink_to("/proc/self/mem")


@contextlib.contextmanager
def unprivileged_tree(files: dict, mode: int, folder_mode: int = 0o755):
    """A tree whose files and folders have these modes, seen as a user who does not own them; yields its root."""
    root = Path(tempfile.mkdtemp())
    try:
        write_tree(root, files)
        for path in sorted(root.rglob("*"), reverse=True):
            path.chmod(folder_mode if path.is_dir() else mode)
        root.chmod(0o755)
        with _other_user():
            yield root
    finally:
        shutil.rmtree(root)


@contextlib.contextmanager
def _other_user():
    """Without root's rights while it lasts; a user who is not root lacks them already."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
