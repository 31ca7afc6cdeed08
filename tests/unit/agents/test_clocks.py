"""The boot id is the kernel's, and a kernel without one is said to be unknown."""

import re
import time

from agents.clocks import lease_clock_ns, read_boot_id, utc_now


def test_the_boot_id_is_read_and_stripped(tmp_path):
    (tmp_path / "boot_id").write_text("abc-1\n")
    assert read_boot_id(tmp_path / "boot_id") == "abc-1"


def test_no_boot_id_is_unknown_not_empty(tmp_path):
    assert read_boot_id(tmp_path / "absent") == "unknown"
    (tmp_path / "empty").touch()
    assert read_boot_id(tmp_path / "empty") == "unknown"
    (tmp_path / "binary").write_bytes(b"\xff")
    assert read_boot_id(tmp_path / "binary") == "unknown"


def test_the_lease_clock_never_runs_behind_the_monotonic_clock():
    before_ns = time.monotonic_ns()
    assert lease_clock_ns() >= before_ns


def test_wall_time_is_written_in_utc():
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", utc_now())
