"""The board starts for this machine only, says nothing to anyone, and watches no files."""

import subprocess
import sys
from pathlib import Path

import pytest

from lab.board.launch import streamlit_command
from lab.board.theme import THEME

SCRIPT = Path("/somewhere/board app.py")


def options(port=None):
    command = streamlit_command(SCRIPT, port)
    names, values = command[5::2], command[6::2]
    return list(zip(names, values, strict=True))


def test_the_command_is_streamlits_run_in_this_python():
    assert streamlit_command(SCRIPT, None)[:5] == [sys.executable, "-m", "streamlit", "run", str(SCRIPT)]


@pytest.mark.parametrize(("name", "value"), [
    ("server.address", "127.0.0.1"), ("browser.gatherUsageStats", "false"), ("server.headless", "true"),
    ("server.fileWatcherType", "none"), ("client.showErrorDetails", "none"), ("server.enableCORS", "true")])
def test_what_must_not_be_left_to_a_default_is_said(name, value):
    assert (f"--{name}", value) in options()


def test_only_names_of_this_machine_are_answered():
    assert [value for name, value in options() if name == "--server.allowedHosts"] == ["127.0.0.1", "localhost"]


def test_the_port_is_left_open_unless_given():
    assert "--server.port" not in dict(options())
    assert dict(options(8600))["--server.port"] == "8600"


def test_both_themes_are_passed():
    assert all((f"--{name}", value) in options() for name, value in THEME.items())


def test_streamlit_knows_every_option():
    known = subprocess.run([sys.executable, "-m", "streamlit", "run", "--help"], capture_output=True, text=True,
                           check=True, timeout=120).stdout

    assert all(name in known for name, _ in options(8600))
