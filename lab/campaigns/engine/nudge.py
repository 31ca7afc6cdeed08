"""Queues of this process are looked at as soon as something is known to wait, so that polling can be slow.

dbos looks at a queue only every polling interval; that is what costs an idle process its processor time, also while a
device of the same machine is being measured. Here the same claim is made at once whenever this process enqueues a call
for itself or ends one behind which others wait; other processes are told by the `bell`. Claims are transactions of the
database, so nothing is taken twice; a nudge that comes to nothing is made good by the next poll. A nudge and a poll at
the same moment may begin two calls where one at a time is meant; the second then waits at a lock of this process
(`hold_device`, and those of deciding and compressing). It uses inner functions of dbos 3.4, as `database` does.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

_LEFT_WITHIN_S = 5.0
_LOOK_S = 0.003


@dataclass(frozen=True, kw_only=True)
class _Nudge:
    queues: tuple[str, ...]
    after: str | None = None


class Nudger:
    """Looks at this process's `queues` from a thread of its own.

    `take` claims and starts what waits in the queue of that name; `ring` tells whoever else has it.
    """

    def __init__(self, queues: Iterable[str], take: Callable[[str], None], is_running: Callable[[str], bool],
                 ring: Callable[[str], None] = lambda _name: None) -> None:
        self._queues = frozenset(queues)
        self._take = take
        self._is_running = is_running
        self._ring = ring
        self._nudges: queue.SimpleQueue[_Nudge | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._nudge, name="nudger", daemon=True)

    def start(self) -> None:
        """Begin, with a first look at every queue; `wake` of this module reaches this one from now on."""
        global _current  # noqa: PLW0603 one process has one engine
        self._thread.start()
        _current = self
        self.wake(self._queues)

    def stop(self) -> None:
        """End; what is nudged later is left to the polls."""
        global _current  # noqa: PLW0603
        _current = None
        if self._thread.is_alive():
            self._nudges.put(None)
            self._thread.join(timeout=10.0)

    def wake(self, queues: Iterable[str], after: str | None = None) -> None:
        """Look at the queues, or tell who has them, once the call `after` has ended, if one is named."""
        self._nudges.put(_Nudge(queues=tuple(sorted(queues)), after=after))

    def _nudge(self) -> None:
        while (nudge := self._nudges.get()) is not None:
            deadline_s = time.monotonic() + _LEFT_WITHIN_S
            while nudge.after is not None and self._is_running(nudge.after) and time.monotonic() < deadline_s:
                time.sleep(_LOOK_S)
            for name in nudge.queues:
                try:
                    (self._take if name in self._queues else self._ring)(name)
                except Exception as error:  # noqa: BLE001 the poll that comes anyway tries the same again
                    logging.getLogger(__name__).debug("nudging %s: %s", name, error)


_current: Nudger | None = None


def wake(queues: Iterable[str], after: str | None = None) -> None:
    """Look at these queues if this process works; see `Nudger.wake`."""
    nudger = _current
    if nudger is not None:
        nudger.wake(queues, after)


def take(name: str) -> None:
    """Claim and start what waits in a queue, as dbos does at every poll."""
    from dbos._core import execute_dequeued_workflow
    from dbos._dbos import _get_dbos_instance
    from dbos._utils import GlobalParams, generate_uuid

    dbos = _get_dbos_instance()
    known = dbos._sys_db.get_queue(name)
    if known is None:
        return
    owner, running = generate_uuid(), dbos._active_workflows_set.count_for_queue(name)
    if known._partition_concurrency is not None:
        ids = dbos._sys_db.start_queued_partitioned_workflows(
            known, GlobalParams.executor_id, GlobalParams.app_version, owner_xid=owner)
    elif known._worker_concurrency is not None and running >= known._worker_concurrency:
        return
    else:
        ids, _ = dbos._sys_db.start_queued_workflows(
            known, GlobalParams.executor_id, GlobalParams.app_version, None, running, owner_xid=owner)
    for workflow_id in ids:
        status = dbos._sys_db.get_workflow_status(workflow_id)
        if status is not None:
            execute_dequeued_workflow(dbos, status, owner)


def is_running(workflow_id: str) -> bool:
    """Whether this process is at that call."""
    from dbos._dbos import _get_dbos_instance

    return workflow_id in _get_dbos_instance()._active_workflows_set.activeList()
