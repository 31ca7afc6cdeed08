"""Starts the real board on a free port of this machine and stops it again, by its own process."""

from __future__ import annotations

import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

from lab.board.launch import ADDRESS, streamlit_command

SCRIPT = Path(__file__).parents[2] / "lab" / "cli" / "board_app.py"
ROOT = Path(__file__).parents[2]


def free_port():
    with socket.socket() as probe:
        probe.bind((ADDRESS, 0))
        return probe.getsockname()[1]


@contextmanager
def running_board(home, log, script=SCRIPT):
    """Yields the board's URL; `log` receives what the server prints."""
    port = free_port()
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"LAB_HOME": str(home), "PYTHONPATH": os.pathsep.join(paths), "HOME": str(log.parent)}
    with log.open("wb") as output:
        server = subprocess.Popen(streamlit_command(script, port), env=environment, stdout=output, stderr=output,
                                  stdin=subprocess.DEVNULL, cwd=log.parent)
    url = f"http://{ADDRESS}:{port}"
    try:
        _wait_until_healthy(server, url, log)
        yield url
    finally:
        server.terminate()
        try:
            server.wait(timeout=10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait(timeout=10)


def _wait_until_healthy(server, url, log, timeout_s=60):
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if server.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"{url}/_stcore/health", timeout=2) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise AssertionError(f"the board did not start at {url}: {log.read_text(errors='replace')[-2000:]}")
