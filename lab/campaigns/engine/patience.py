"""A full disk under the queue's file is waited for, as dbos waits for a server that is away.

dbos 3.4 takes "disk is full" for a defect of the call: it would end the call as an error, or, where that cannot be
written either, leave it as begun until the process is started again; the campaign would stand still with every worker
alive. It uses an inner function of dbos, as `database` does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lab.store.durable import is_disk_full


def wait_for_space(tell: Callable[[Exception], None]) -> None:
    """Make this process's workers try again until there is space, after 1 s and then ever more, up to 90 s.

    `tell` is called before every pause. A client that asked dbos not to wait for connections is not made to wait.
    """
    from dbos import _sys_db, _utils

    def is_passing(error: Any) -> bool:
        if is_disk_full(error):
            tell(error)
            return True
        return bool(_utils.retriable_postgres_exception(error))

    _sys_db.retriable_postgres_exception = is_passing  # type: ignore[assignment,attr-defined]
