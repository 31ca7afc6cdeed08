"""One measurement at a time on one machine, whatever agents and controllers share it."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, Optional

from agents.wire import HOST_LOCK_NAME
from agents.wire.host_lock_place import host_lock_folder

_RETRIES = 10


def open_host_lock(folder: Path) -> int:
    """A descriptor of the lock file, made if need be; raises OSError.

    The file is opened without O_CREAT first: with `fs.protected_regular` even root may not open another user's
    file in a sticky folder that way. Reading is enough for `flock`.
    """
    path = folder / HOST_LOCK_NAME
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
    for _ in range(_RETRIES):
        try:
            return os.open(path, flags)
        except FileNotFoundError:
            pass
        try:
            descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o666)
        except FileExistsError:
            continue
        os.fchmod(descriptor, 0o666)  # the umask took rights away that other users need
        return descriptor
    raise FileNotFoundError(f"{path} appears and disappears; is something cleaning that folder?")


@contextmanager
def host_lock(folder: Optional[Path] = None) -> Iterator[None]:
    """Hold the machine; waits without using the processor, and a signal handler that raises ends the wait."""
    descriptor = open_host_lock(host_lock_folder() if folder is None else folder)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
