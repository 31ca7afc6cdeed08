"""What is said about a device is what its files say; what they do not say is unknown."""

import pytest

from agents.host_info import board_model, cpu_model, hello_header, memory_bytes

X86 = """processor\t: 0
vendor_id\t: GenuineIntel
model name\t: Intel(R) N100
flags\t\t: fpu sse4_2 aes avx avx2 f16c fma avx_vnni
processor\t: 1
model name\t: Intel(R) N100
"""
ARM64 = """processor\t: 0
BogoMIPS\t: 108.00
Features\t: fp asimd evtstrm aes crc32 asimddp fphp
CPU implementer\t: 0x41
CPU part\t: 0xd05
processor\t: 1
CPU implementer\t: 0x41
CPU part\t: 0xd0b
"""


def hello(root):
    return hello_header(root, agent_sha256="a" * 64, boot_id="boot-1", session="s")


def make(root, **files):
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_an_x86_machine_is_described(tmp_path):
    header = hello(make(tmp_path, proc__cpuinfo=X86, proc__meminfo="MemTotal:       8000000 kB\nMemFree: 1 kB\n"))
    assert header["cpu_model"] == "Intel(R) N100"
    assert header["isa"] == ["aes", "avx", "avx2", "avx_vnni", "f16c", "fma", "sse4_2"]
    assert header["has_aes"] is True
    assert header["memory_bytes"] == 8_000_000 * 1024
    assert header["model"] is None


def test_a_board_with_two_kinds_of_core_names_both(tmp_path):
    root = make(tmp_path, proc__cpuinfo=ARM64)
    (root / "proc/device-tree").mkdir()
    (root / "proc/device-tree/model").write_bytes(b"Radxa ROCK 5B\0")
    header = hello(root)
    assert header["cpu_model"] == "Cortex-A55 + Cortex-A76"
    assert header["isa"] == ["aes", "asimd", "asimddp", "fphp"]
    assert header["model"] == "Radxa ROCK 5B"


def test_a_raspberry_pi_prints_its_model_last(tmp_path):
    assert cpu_model("CPU implementer\t: 0x41\nModel\t\t: Raspberry Pi 4 Model B\n") == "Raspberry Pi 4 Model B"
    assert board_model(tmp_path) is None


def test_a_part_nobody_listed_keeps_its_number():
    assert cpu_model("CPU implementer\t: 0x41\nCPU part\t: 0xfff\n") == "ARM part 0xfff"


@pytest.mark.parametrize("text", ["", "nonsense", "MemTotal: lots kB"])
def test_what_is_not_said_is_unknown(tmp_path, text):
    assert memory_bytes(text) is None
    assert cpu_model(text) == "unknown"
    header = hello(make(tmp_path, proc__cpuinfo=text))
    assert header["isa"] == []
    assert header["has_aes"] is False
    assert header["memory_bytes"] is None


def test_the_older_place_of_the_device_tree_is_found(tmp_path):
    folder = tmp_path / "sys/firmware/devicetree/base"
    folder.mkdir(parents=True)
    (folder / "model").write_bytes(b"Board\xff\0")
    assert board_model(tmp_path) == "Board\ufffd"


def test_hello_has_every_field_the_controller_expects(tmp_path):
    header = hello(tmp_path)
    assert set(header) == {"proto", "agent_sha256", "python", "system", "machine", "kernel", "boot_id", "cpu_model",
                           "cpu_count", "isa", "memory_bytes", "model", "has_aes", "session"}
    assert header["proto"] == 1
    assert header["cpu_count"] >= 1
