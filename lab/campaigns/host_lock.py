"""One machine, one load: nothing trains here while a window is open here, and the other way round.

Agents on this host hold the same lock file while a window is open, so local, virtual and loopback devices and the
controller's own training never share the cores at the same moment.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from agents.wire import HOST_LOCK_NAME
from agents.wire.host_lock_place import host_lock_folder
from lab.errors import LabError

_POLL_S = 0.2
_FLAGS = os.O_NOFOLLOW | os.O_CLOEXEC


def host_lock_path() -> Path:
    """The file whose `flock` means: this machine's cores are being measured or used."""
    return host_lock_folder() / HOST_LOCK_NAME


@contextmanager
def hold_host(*, wait_s: float = 3600.0, waiting: Callable[[], None] = lambda: None,
              path: Path | None = None) -> Iterator[None]:
    """Hold this machine for the time of the `with`; raises LabError when `wait_s` passes first.

    `waiting` is called once if somebody else holds it.
    """
    file = path or host_lock_path()
    descriptor = _open(file)
    try:
        deadline = time.monotonic() + wait_s
        told = False
        while not _try_lock(descriptor):
            if not told:
                waiting()
                told = True
            if time.monotonic() > deadline:
                raise LabError(
                    f"Waited {wait_s:.0f} s for {file}, which another measurement holds. "
                    "Wait for the other campaign to end, then run the same command again."
                )
            time.sleep(_POLL_S)
        yield
    finally:
        os.close(descriptor)


def _open(file: Path) -> int:
    """The lock file, made for everybody if it is not there: another user's agent must be able to lock it too."""
    try:
        with suppress(FileNotFoundError):
            return os.open(file, os.O_RDONLY | _FLAGS)  # a lock needs no permission to write
        try:
            descriptor = os.open(file, os.O_RDONLY | os.O_CREAT | os.O_EXCL | _FLAGS, 0o666)
        except FileExistsError:  # made in between
            return os.open(file, os.O_RDONLY | _FLAGS)
        os.fchmod(descriptor, 0o666)  # whatever the umask says
    except OSError as error:
        raise LabError(f"Cannot open the machine's lock {file}: {error.strerror}. Expected a plain file there that "
                       "everybody may read; remove what is in its place.") from error
    return descriptor


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
