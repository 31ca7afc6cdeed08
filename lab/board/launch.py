"""The command line that starts the board, with nothing left to Streamlit's defaults that matters."""

from __future__ import annotations

import sys
from pathlib import Path

from .theme import THEME

ADDRESS = "127.0.0.1"
"""The board shows everything it can read, so it answers this machine only."""

_OPTIONS = {
    "server.address": ADDRESS,
    "server.headless": "true",
    "server.fileWatcherType": "none",
    "server.runOnSave": "false",
    "server.enableCORS": "true",
    "server.enableXsrfProtection": "true",
    "server.maxUploadSize": "1",
    "browser.gatherUsageStats": "false",
    "browser.serverAddress": ADDRESS,
    "client.toolbarMode": "viewer",
    "client.showErrorDetails": "none",
    "client.showErrorLinks": "false",
}


_ALLOWED_HOSTS = (ADDRESS, "localhost")
"""Names a browser may use for the board; any other means that a foreign name was pointed at this machine."""


def streamlit_command(script: Path, port: int | None) -> list[str]:
    """The command as a list, to be started without a shell; without a port, the first free one from 8501 on."""
    options = dict(_OPTIONS) | THEME
    if port is not None:
        options["server.port"] = str(port)
    command = [sys.executable, "-m", "streamlit", "run", str(script)]
    for name, value in options.items():
        command += [f"--{name}", value]
    for host in _ALLOWED_HOSTS:
        command += ["--server.allowedHosts", host]
    return command
