"""A process that works: it listens to the queues of its roles until it is told to stop."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.campaigns.calls import device_queue
from lab.errors import ConfigError, LabError, StoreError

from .database import APPLICATION, VERSION, connect, is_sqlite, prepare, serializer, without_password
from .guard import Hold, only_one

if TYPE_CHECKING:
    from .roster import Beating
    from .workflows import Runtime

_POLL_S = 0.5
"""How often a queue is looked at that nobody nudged; `nudge` and `bell` are what a waiting call counts on."""

_SLOW_POLL_S = 1.0
_SERVER_POLL_RATIO = 2.0
"""A look at a server costs more than one at a file, and there every process hears the bell."""

_THREADS_MAX = 64
_LEAVE_WITHIN_S = 10.0
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


def queues_of(roles: Sequence[str], *, on_server: bool = False) -> dict[str, dict[str, Any]]:
    """Queue settings by name for roles `controller`, `compress` and `devices:HOST`. Raises ConfigError."""
    poll_s, slow_poll_s = (each * (_SERVER_POLL_RATIO if on_server else 1.0) for each in (_POLL_S, _SLOW_POLL_S))
    found: dict[str, dict[str, Any]] = {}
    for role in roles:
        if role == "controller":
            found["campaigns"] = {"worker_concurrency": 1, "polling_interval_sec": slow_poll_s}
            found["control"] = {"worker_concurrency": 1, "polling_interval_sec": poll_s}
        elif role == "compress":
            found["compress"] = {"worker_concurrency": 1, "polling_interval_sec": slow_poll_s}
        elif role.startswith("devices:") and _NAME.fullmatch(role.removeprefix("devices:")):
            queue = device_queue(role.removeprefix("devices:"))
            found[queue] = {"partition_concurrency": 1, "polling_interval_sec": poll_s}
        else:
            raise ConfigError(f"worker role {role!r}: expected controller, compress or devices:HOST (up to 64 letters, "
                              "digits, '.', '_' or '-').")
    return found


@contextmanager
def working(home: Path, url: str, executor_id: str, roles: Sequence[str],
            runtime: Callable[[Beating], Runtime], chores: Callable[[], None] = lambda: None) -> Iterator[Hold]:
    """Work in the background for the time of the `with`. Raises ExecutorTaken, StoreError.

    What is interrupted at the end goes on in the next process of the same executor id; a block goes on on its device.
    Whoever works asks `Hold.check` now and then: it raises ExecutorTaken once another process has taken over.
    """
    prepare(url)
    from dbos import DBOS

    from .bell import Listening, ring
    from .nudge import Nudger, is_running, take
    from .patience import wait_for_space
    from .roster import Beating
    from .workflows import serve_with, tell_why_waiting, wait_for_devices

    queues = queues_of(roles, on_server=not is_sqlite(url))
    with only_one(home, url, executor_id) as hold:
        engine = connect(url)
        nudger = Nudger(queues, take, is_running, lambda name: ring(engine, [name]))
        listening = Listening(url, lambda name: nudger.wake(queues.keys() & {name}))
        beating = Beating(engine, executor_id, tuple(roles), chores)
        serve_with(runtime(beating))
        wait_for_space(tell_why_waiting)
        try:
            _launch(url, executor_id, queues)
            beating.start()
            nudger.start()
            listening.start()
            yield hold
        finally:
            listening.stop()
            nudger.stop()
            if not hold.is_lost:  # else this process must take nothing more, not even for as long as a block lasts
                wait_for_devices(_LEAVE_WITHIN_S)
            beating.stop()
            with suppress(Exception):
                DBOS.destroy(workflow_completion_timeout_sec=0)
            engine.dispose()


def _launch(url: str, executor_id: str, queues: dict[str, dict[str, Any]]) -> None:
    from dbos import DBOS

    DBOS(config={"name": APPLICATION, "system_database_url": url, "executor_id": executor_id,
                 "application_version": VERSION, "serializer": serializer(), "log_level": "CRITICAL",
                 "max_executor_threads": _THREADS_MAX})
    try:
        DBOS.listen_queues(list(queues))
        DBOS.launch()
        for name, settings in queues.items():
            DBOS.register_queue(name, on_conflict="always_update", **settings)
    except LabError:
        raise
    except Exception as error:
        raise StoreError(f"cannot open the queue at {without_password(url)}: {error}") from error
