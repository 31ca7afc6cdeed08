"""Power, temperature, clock and memory sources, one file each; resolved by name on use."""

PROBES = {
    "rapl": "agents.probes.rapl:RaplProbe",
    "hwmon_power": "agents.probes.hwmon_power:HwmonPowerProbe",
    "thermal": "agents.probes.thermal:ThermalProbe",
    "cpufreq": "agents.probes.cpufreq:CpufreqProbe",
}
