"""`lab board` is the server itself: it answers on this machine only, and ending it leaves nothing behind."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from tests.support.board_server import free_port

ROOT = Path(__file__).resolve().parents[4]


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_ending_the_command_ends_the_server(lab_home, tmp_path):
    """SIGTERM to `lab board` frees the port; no child goes on serving an old database."""
    port = free_port()
    environment = {**os.environ, "LAB_HOME": str(lab_home), "PYTHONPATH": str(ROOT)}
    with (tmp_path / "log").open("wb") as log, subprocess.Popen(
            [sys.executable, "-m", "lab.cli.main", "board", "--port", str(port)], env=environment, cwd=tmp_path,
            stdout=log, stderr=log) as board:
        deadline = time.monotonic() + 60
        while not answers(port) and board.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health") as reply:
            assert reply.status == 200
        board.terminate()
        board.wait(30)
    assert not answers(port)
    assert f"http://127.0.0.1:{port}" in (tmp_path / "log").read_text()
