"""Where the host's lock file is: the same rule for every agent and controller on a machine."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Optional

HOST_LOCK_FOLDER_VARIABLE = "JOULELAB_HOST_LOCK_FOLDER"
"""Keeps a test's agents and controller apart from the rest of the machine; both ends must be given the same."""

_FOLDERS = (Path("/dev/shm"), Path("/tmp"))  # noqa: S108  shared on purpose; the lock is opened without following links


def host_lock_folder(environment: Optional[Mapping[str, str]] = None, folders: Sequence[Path] = _FOLDERS) -> Path:
    """The first of `/dev/shm` and `/tmp` that this user can write, whatever TMPDIR says; Android has neither, and
    there the user's own temporary folder must do."""
    named = (os.environ if environment is None else environment).get(HOST_LOCK_FOLDER_VARIABLE)
    if named:
        return Path(named)
    for folder in folders:
        if folder.is_dir() and os.access(folder, os.W_OK | os.X_OK):
            return folder
    return Path(tempfile.gettempdir())
