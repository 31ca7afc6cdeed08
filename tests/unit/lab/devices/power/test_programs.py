"""Programs end in time or are ended, with their children; what they print is capped."""

from __future__ import annotations

import os
import shutil
import time

import pytest

from lab.devices.power.programs import OUTPUT_CAP_BYTES, call_program, switch_by_program
from lab.errors import PowerControlError
from tests.support.power_devices import write_script

PATIENCE = 200


def test_input_output_and_status_pass():
    """As a shell would see them."""
    ended = call_program(["/bin/sh", "-c", "cat; echo more >&2; exit 7"], stdin="grüße".encode())
    assert (ended.status, ended.output, ended.complaint) == (7, "grüße", "more")


def test_a_program_that_reads_nothing_is_no_problem():
    """There is no pipe that could break."""
    assert call_program(["true"], stdin=b"x" * 1_000_000).status == 0


def test_output_is_capped():
    """The rest is not read."""
    ended = call_program(["/bin/sh", "-c", f"head -c {OUTPUT_CAP_BYTES * 3} /dev/zero | tr '\\0' x"])
    assert len(ended.output) == OUTPUT_CAP_BYTES


def test_output_that_is_no_text_is_read_all_the_same():
    """Broken bytes are replaced."""
    assert call_program(["printf", r"\377on"]).output == "\ufffdon"


def test_a_program_that_hangs_is_ended_with_its_children(tmp_path):
    """The child wrote its number down; in the end nobody has it, or only as a zombie."""
    script = write_script(tmp_path / "hang", f"#!/bin/sh\nsleep 60 &\necho $! > {tmp_path}/child\nwait\n")
    with pytest.raises(TimeoutError, match=r"did not end within 3 s"):
        call_program([str(script)], timeout_s=3)
    child = int((tmp_path / "child").read_text())
    for _ in range(PATIENCE):
        if not is_alive(child):
            break
        time.sleep(0.01)
    assert not is_alive(child)


def test_a_child_left_in_the_background_keeps_nobody_waiting(tmp_path):
    """A relay daemon, for instance: the program's own end counts."""
    script = write_script(tmp_path / "daemon", f"#!/bin/sh\nsleep 60 &\necho $! > {tmp_path}/child\necho on\n")
    ended = call_program([str(script)], timeout_s=30)
    child = int((tmp_path / "child").read_text())
    try:
        assert (ended.status, ended.output) == (0, "on\n")
        assert is_alive(child)
    finally:
        os.kill(child, 9)


@pytest.mark.parametrize("argv", [["/nonexistent"], ["/"], ["a\0b"], [""]])
def test_what_cannot_be_started_is_an_os_error(argv):
    """Whatever the reason."""
    with pytest.raises(OSError, match=r"."):
        call_program(argv)


def test_a_hang_of_a_switch_may_pass(tmp_path):
    """It is the lab's own error, and a retry may help."""
    script = write_script(tmp_path / "hang", "#!/bin/sh\nexec sleep 60\n")
    with pytest.raises(PowerControlError, match=r"relay: .*hang: it did not end within 0.2 s") as caught:
        switch_by_program([str(script)], "relay", timeout_s=0.2)
    assert caught.value.transient


def test_a_program_ended_by_a_signal_failed():
    """Negative, as Python counts signals."""
    with pytest.raises(PowerControlError, match="got -9 and 'nothing'"):
        switch_by_program([shutil.which("sh") or "sh", "-c", "kill -9 $$"], "relay")


def is_alive(pid):
    """Running or sleeping; a zombie is dead."""
    try:
        with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
