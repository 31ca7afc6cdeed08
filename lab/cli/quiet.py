"""For commands that may not work beside a controller or a worker."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path


@contextmanager
def nobody_works(home: Path, doing: str) -> Iterator[None]:
    """Keep controllers and workers out of `home` for the time of the `with`; raises LabError if one works there now."""
    import fcntl
    import os

    from lab.errors import LabError

    with ExitStack() as stack:
        for path in _locks(home):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            stack.callback(os.close, descriptor)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise LabError(f"Cannot {doing} while somebody works with {home}: {path} is held. End `lab worker` or "
                               "`lab run`, then repeat; what was measured is kept.") from None
        yield


def _locks(home: Path) -> list[Path]:
    """Every lock that a process working with this home holds; asking about a home without a database makes none."""
    from lab.store.database import DATABASE_NAME

    found = {path for path in (home / "controller.lock", *(home / "locks").glob("executor-*.lock")) if path.exists()}
    if (home / DATABASE_NAME).exists():
        (home / "locks").mkdir(mode=0o700, exist_ok=True)
        found.add(home / "locks" / "executor-controller.lock")
    return sorted(found)
