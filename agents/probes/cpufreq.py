"""Clock frequencies of the processor's cores as the kernel's cpufreq policies report them."""

from __future__ import annotations

from pathlib import Path
from typing import List

from .base import Channel
from .sysfs import FileProbe, Found, numbered


class CpufreqProbe(FileProbe):
    """One channel per policy (the cores that share a clock); the kernel says kHz."""

    absent = ("No clock frequency: /sys/devices/system/cpu holds no cpufreq policy. Virtual machines and boards "
              "without frequency scaling have none.")
    remedy = "Give the agent's user read access to scaling_cur_freq under /sys/devices/system/cpu/cpufreq/policy*."

    def find(self, root: Path) -> List[Found]:
        """Policies by number; kernels older than 4.3 show the same file in each core's own folder."""
        folder = root / "sys/devices/system/cpu"
        policies = numbered(folder / "cpufreq", "policy")
        sources = policies or [core for core in numbered(folder, "cpu") if (core / "cpufreq").is_dir()]
        return [
            Found(Channel(source.name, "frequency_hz", "sample", 1e3),
                  (source if policies else source / "cpufreq") / "scaling_cur_freq", source.name)
            for source in sources
        ]
