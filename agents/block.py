"""A process that measures one block alone: link or no link, supervisor or none."""

from __future__ import annotations

import os
import sys
import traceback
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

from agents.clocks import read_boot_id
from agents.errors import Refused
from agents.flags import Flag
from agents.home import AgentHome, read_json, write_atomic, write_json
from agents.host_lock import host_lock
from agents.lease import LeaseFile
from agents.probe_set import STATE_PROBES, open_probes
from agents.spool import Spool
from agents.state import StateKeeper
from agents.waiting import Cancelled, Waiter
from agents.window import Measuring, measure_idle, measure_window
from agents.wire.plan import BlockPlan, plan_from_json


def run_block(home: AgentHome, root: Path, block_id: str, lock_fds: Sequence[int] = ()) -> int:
    """Execute the plan in the block's folder; exit status 0 when it was done, 1 otherwise.

    `lock_fds` are locks that the supervisor took for this process: they stay open until it ends, and its
    workers must not inherit them.
    """
    for descriptor in lock_fds:
        os.set_inheritable(descriptor, False)
    folder = home.block(block_id)
    write_atomic(folder / "block.pid", str(os.getpid()).encode())
    data: Any = read_json(folder / "plan.json")
    with Waiter() as waiter:
        return _Block(home, root, plan_from_json(data["plan"]), data["fence"], waiter).run()


class _Block:
    """One execution of one plan; its progress is in `status.json`."""

    def __init__(self, home: AgentHome, root: Path, plan: BlockPlan, fence: int, waiter: Waiter) -> None:
        self._home = home
        self._root = root
        self._plan = plan
        self._fence = fence
        self._waiter = waiter
        self._boot_id = read_boot_id()
        self._spool = Spool(home)
        self._state = StateKeeper(root, home.state_journal, self._boot_id)
        self._position = 0
        self._windows_done = 0

    def run(self) -> int:
        """Everything, with the host to ourselves; always leaves a final status and the state as it was."""
        state, error = "failed", None
        try:
            with ExitStack() as held:
                with self._waiter.interrupting():
                    held.enter_context(host_lock())
                self._write_status("running", None)  # no longer waiting
                LeaseFile(self._home.path, self._boot_id).cover(self._fence, self._plan.duration_max_ns())
                error = self._measure_and_restore()
            state = "done"
        except Cancelled as reason:
            state, error = "cancelled", str(reason)
        except (OSError, Refused) as reason:
            traceback.print_exc()
            error = str(reason)
        self._write_status(state, error)
        return 0 if state == "done" else 1

    def _measure_and_restore(self) -> Optional[str]:
        """The windows; then the state is put back, and what could not be is said."""
        self._state.restore()  # what a block that was killed may have left
        try:
            flags = self._state.apply(self._plan.state)
            self._measure(flags)
        finally:
            problems = self._state.restore()
            for problem in problems:
                sys.stderr.write(f"{problem}\n")
        return "; ".join(problems) or None

    def _measure(self, flags: List[Flag]) -> None:
        plan = self._plan
        opened, missing = open_probes((*plan.probes, *STATE_PROBES), self._root)
        for absent in missing:
            flags += absent.flags()
        sampled = [probe for probe in opened if probe.name in plan.probes]
        block = Measuring(self._home, plan, self._boot_id, sampled, opened, flags, self._waiter, set())
        self._open_position(0)
        self._keep(measure_idle(block, 0))
        for index, window in enumerate(plan.windows):
            self._open_position(index + 1)
            self._keep(measure_window(block, index + 1, window))
            self._windows_done += 1
        self._open_position(len(plan.windows) + 1)
        self._keep(measure_idle(block, len(plan.windows) + 1))

    def _open_position(self, position: int) -> None:
        self._position = position
        self._write_status("running", None)

    def _keep(self, recording: bytes) -> None:
        self._spool.add(self._plan.block_id, self._plan.attempt, self._position, recording)

    def _write_status(self, state: str, error: Optional[str]) -> None:
        write_json(self._home.block(self._plan.block_id) / "status.json",
                   block_status(state, self._position, self._windows_done, error))


def block_status(state: str, position: int = 0, windows_done: int = 0, error: Optional[str] = None, *,
                 waiting: bool = False) -> Dict[str, Any]:
    """A status as it is stored and sent; `state` is running, done, failed, cancelled or unknown.

    `waiting` is true while a running block waits for the host's lock, before it touches anything.
    """
    return {"state": state, "position": position, "windows_done": windows_done,
            "error": None if error is None else error[:2000], "waiting": waiting}
