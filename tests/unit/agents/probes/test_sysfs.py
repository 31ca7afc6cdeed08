"""What all sysfs probes share: finding, naming, and the reason for having nothing."""

import errno
from pathlib import Path

import pytest

from agents.probes.base import Channel, Unavailable
from agents.probes.sysfs import FileProbe, Found, numbered, read_text, unique_rails
from tests.support.sysfs_trees import write_tree


class ListProbe(FileProbe):
    """A probe over the files it is given, or the error."""

    absent = "nothing here"
    remedy = "do this"

    def __init__(self, files, clock=lambda: 0):
        super().__init__(clock)
        self._paths = files

    def find(self, root):
        if isinstance(self._paths, OSError):
            raise self._paths
        return [Found(Channel(name, "power_w", "sample", 1.0), root / name, name) for name in self._paths]


def test_channels_that_cannot_be_opened_are_left_out(tmp_path):
    write_tree(tmp_path, {"a": "1", "c": "3"})
    probe = ListProbe(["a", "b", "c"])
    assert [channel.rail for channel in probe.discover(tmp_path)] == ["a", "c"]
    assert [reading.raw for reading in probe.read()] == [1, 3]


@pytest.mark.parametrize(("code", "expected"), [
    (errno.EACCES, "permission"), (errno.EPERM, "permission"), (errno.EIO, "error"), (errno.ENOENT, "absent"),
    (errno.ENODEV, "absent"), (errno.EBUSY, "error"),
])
def test_an_error_while_looking_becomes_a_reason(tmp_path, code, expected):
    found = ListProbe(OSError(code, "text of the kernel", "/sys/x")).discover(tmp_path)
    assert isinstance(found, Unavailable)
    assert found.code == expected
    if expected == "permission":
        assert found.reason == "/sys/x: permission denied. do this"
    elif expected == "absent":
        assert found.reason == "nothing here"
    else:
        assert "/sys/x: text of the kernel" in found.reason


def test_the_base_class_finds_nothing_by_itself(tmp_path):
    with pytest.raises(NotImplementedError):
        FileProbe().discover(tmp_path)


def test_close_ends_reading(tmp_path):
    probe = ListProbe(["a"])
    probe.discover(write_tree(tmp_path, {"a": "1"}))
    probe.close()
    assert probe.read() == ()


def test_entries_come_by_number_not_by_letter(tmp_path):
    for name in ("hwmon10", "hwmon2", "hwmon", "hwmonx", "other3", "hwmon2a"):
        (tmp_path / name).mkdir()
    assert [path.name for path in numbered(tmp_path, "hwmon")] == ["hwmon2", "hwmon10"]


def test_no_folder_has_no_entries(tmp_path):
    (tmp_path / "file").touch()
    assert numbered(tmp_path / "missing", "hwmon") == []
    assert numbered(tmp_path / "file", "hwmon") == []


@pytest.mark.parametrize(("data", "expected"), [
    (b"VDD_IN\n", "VDD_IN"), (b" VDD IN \n", "VDD IN"), (b"one\ntwo\n", "one"), (b"", None), (b"\n", None),
    (b"Raspberry Pi 4\0", "Raspberry Pi 4"), (b"\xff\xfe\n", "\ufffd\ufffd"), (b"x" * 1000, "x" * 64),
])
def test_short_texts(tmp_path, data, expected):
    path = tmp_path / "label"
    path.write_bytes(data)
    assert read_text(path) == expected


def test_a_text_that_is_not_there_is_none():
    assert read_text(Path("/nonexistent/label")) is None


def found(rail, tag, quantity="power_w"):
    return Found(Channel(rail, quantity, "sample", 1.0), Path("x"), tag)


def test_one_rail_of_two_devices_gets_the_device_into_its_name():
    rails = [item.channel.rail for item in unique_rails([found("VDD", "1-0040"), found("VDD", "1-0041"),
                                                         found("GPU", "1-0041")])]
    assert rails == ["VDD@1-0040", "VDD@1-0041", "GPU"]


def test_current_and_voltage_of_one_device_keep_one_name():
    items = unique_rails([found("VDD", "1-0040", "current_a"), found("VDD", "1-0040", "voltage_v")])
    assert [item.channel.rail for item in items] == ["VDD", "VDD"]
