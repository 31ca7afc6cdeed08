"""Facts about the device that need nothing but reading a few files."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path
from typing import Any, Dict, List, Optional, Set

from agents.wire import PROTOCOL

ISA_FLAGS = frozenset({
    "sse4_2", "avx", "avx2", "f16c", "fma", "avx512f", "avx512bw", "avx512vl", "avx512_vnni", "avx512_bf16",
    "avx512_fp16", "avx_vnni", "amx_tile", "amx_int8", "amx_bf16", "aes",
    "neon", "asimd", "asimddp", "asimdhp", "fphp", "i8mm", "bf16", "sve", "sve2", "vfpv4", "v",
})
"""Processor features that decide which kernels a runtime picks; names as the kernel spells them."""

_MODEL_KEYS = ("model name", "Model", "Hardware", "cpu model", "Processor")
_ARM_PARTS = {"0xd03": "Cortex-A53", "0xd04": "Cortex-A35", "0xd05": "Cortex-A55", "0xd07": "Cortex-A57",
              "0xd08": "Cortex-A72", "0xd0b": "Cortex-A76", "0xd42": "Cortex-A78AE", "0xd0c": "Neoverse-N1"}
"""`CPU part` of implementer 0x41; 64-bit ARM kernels print no model name (ARM: MIDR_EL1 in each core's manual)."""


def hello_header(root: Path, *, agent_sha256: str, boot_id: str, session: str) -> Dict[str, Any]:
    """The header of HELLO; what the device does not say is null or `unknown`."""
    cpuinfo = _read(root / "proc/cpuinfo")
    features = _features(cpuinfo)
    return {
        "proto": PROTOCOL, "agent_sha256": agent_sha256, "python": platform.python_version(),
        "system": platform.system(), "machine": platform.machine(), "kernel": platform.release(),
        "boot_id": boot_id, "cpu_model": cpu_model(cpuinfo), "cpu_count": os.cpu_count() or 1,
        "isa": sorted(features & ISA_FLAGS), "memory_bytes": memory_bytes(_read(root / "proc/meminfo")),
        "model": board_model(root), "has_aes": "aes" in features, "session": session,
    }


def cpu_model(cpuinfo: str) -> str:
    """The processor's name from /proc/cpuinfo, `unknown` where it gives none."""
    for key in _MODEL_KEYS:
        match = re.search(rf"^{key}\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
        if match:
            return match[1].strip()
    if re.search(r"^CPU implementer\s*:\s*0x41$", cpuinfo, re.MULTILINE):
        parts = re.findall(r"^CPU part\s*:\s*(0x[0-9a-f]+)$", cpuinfo, re.MULTILINE)
        names = [_ARM_PARTS.get(part, f"ARM part {part}") for part in dict.fromkeys(parts)]
        if names:
            return " + ".join(names)
    return "unknown"


def memory_bytes(meminfo: str) -> Optional[int]:
    """All the memory the kernel has, from /proc/meminfo, or None."""
    match = re.search(r"^MemTotal:\s*([0-9]+) kB$", meminfo, re.MULTILINE)
    return int(match[1]) * 1024 if match else None


def board_model(root: Path) -> Optional[str]:
    """The board's name from the device tree, or None where there is none."""
    for name in ("proc/device-tree/model", "sys/firmware/devicetree/base/model"):
        text = _read(root / name).strip("\0\n ")
        if text:
            return text
    return None


def _features(cpuinfo: str) -> Set[str]:
    lines: List[str] = re.findall(r"^(?:flags|Features|isa)\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    return {word for line in lines for word in line.split()}


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8", "replace")
    except OSError:
        return ""
