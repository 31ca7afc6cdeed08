"""The supervisor's side of blocks: start one, follow it, say how it ended; the block itself needs none of this."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any, Dict, List, Optional, Set

from agents.background import Background
from agents.block import block_status
from agents.children import command
from agents.errors import Refused
from agents.home import AgentHome, last_line, read_json, write_json
from agents.spool import Spool
from agents.state import StateKeeper
from agents.wire.plan import BlockPlan, plan_to_json

KEEP_ENDED = 32
"""Folders of ended blocks kept for their logs, once their windows have been fetched."""

_LOCK_TRIES = 20
_LOCK_PAUSE_S = 0.01

Status = Dict[str, Any]


class Blocks:
    """Blocks of one agent home. A block is alive as long as its process holds the lock in its folder."""

    def __init__(self, home: AgentHome, root: Path, boot_id: str, background: Background) -> None:
        self._home = home
        self._root = root
        self._spool = Spool(home)
        self._state = StateKeeper(root, home.state_journal, boot_id)
        self._background = background
        self._children: Dict[str, "subprocess.Popen[bytes]"] = {}
        self._watched: Set[str] = set()
        self._cancelled: Set[str] = set()

    def start(self, plan: BlockPlan, fence: int) -> None:
        """Begin a block; the same plan again changes nothing. Raises Refused (busy, bad_plan) or OSError."""
        self._home.create()
        folder = self._home.block(plan.block_id)
        before: Any = read_json(folder / "plan.json")
        if before is not None and before["plan"] == _as_read(plan):
            return
        if before is not None and before["plan"]["attempt"] >= plan.attempt:
            raise Refused("bad_plan", f"plan.attempt: attempt {before['plan']['attempt']} of block {plan.block_id} "
                                      f"was already started here, so attempt {plan.attempt} cannot be")
        home_lock = self._take_home()
        try:
            self.restore_state()
            self._prune()
            folder.mkdir(mode=0o700, exist_ok=True)
            block_lock = _lock(folder / "lock")
            try:
                write_json(folder / "plan.json", {"plan": plan_to_json(plan), "fence": fence})
                write_json(folder / "status.json", block_status("running", waiting=True))
                for name in ("block.pid", "worker.pid"):  # of an attempt before
                    (folder / name).unlink(missing_ok=True)
                self._launch(plan.block_id, folder, [home_lock, block_lock])
            finally:
                os.close(block_lock)
        finally:
            os.close(home_lock)
        self._cancelled.discard(plan.block_id)
        self.watch(plan.block_id)

    def _take_home(self) -> int:
        try:
            return _lock(self._home.block_lock)
        except Refused as refusal:
            refusal.extra["block_id"] = self.running()
            raise

    def running(self) -> Optional[str]:
        """The block whose process is alive in this home, or None."""
        return next((folder.name for folder in self._home.blocks.iterdir() if is_locked(folder / "lock")), None)

    def _launch(self, block_id: str, folder: Path, lock_fds: List[int]) -> None:
        line = command("block", "--home", str(self._home.path), "--root", str(self._root), "--block", block_id,
                       "--lock-fds", ",".join(map(str, lock_fds)))
        before = self._children.pop(block_id, None)
        if before is not None:
            before.wait()  # of the attempt before, which has let go of its locks
        with (folder / "log.txt").open("ab") as log:
            self._children[block_id] = subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                                        start_new_session=True, pass_fds=lock_fds)

    def status(self, block_id: str) -> Status:
        """Where a block is; one whose process is gone without a word has failed, or was cancelled early."""
        folder = self._home.block(block_id)
        status: Any = read_json(folder / "status.json")
        if not isinstance(status, dict):
            return block_status("unknown")
        if status["state"] != "running" or is_locked(folder / "lock"):
            return {"waiting": False, **status}
        latest: Any = read_json(folder / "status.json")  # it may have ended between the two looks
        if latest["state"] != "running":
            return dict(latest)
        return self._bury(block_id, latest)

    def _bury(self, block_id: str, status: Status) -> Status:
        """Write the final status that the block process could not, and undo what it had set."""
        folder = self._home.block(block_id)
        (folder / "worker.pid").unlink(missing_ok=True)
        child = self._children.get(block_id)
        code = None if child is None else child.wait()
        how = "unexpectedly" if code is None or code >= 0 else f"by signal {-code}"
        state = "cancelled" if block_id in self._cancelled else "failed"
        last = last_line(folder / "log.txt") if (folder / "log.txt").exists() else ""
        error = f"block process ended {how}" + (f": {last}" if last else "")
        final = {**status, "state": state, "waiting": False, "error": error}
        write_json(folder / "status.json", final)
        self.restore_state_if_idle()
        return final

    def cancel(self, block_id: str) -> None:
        """Ask a running block to end; nothing happens to one that has ended."""
        self._signal(block_id, signal.SIGTERM)

    def kill(self, block_id: str) -> None:
        """End a running block at once; its worker ends with it."""
        self._signal(block_id, signal.SIGKILL)

    def _signal(self, block_id: str, number: signal.Signals) -> None:
        if self.status(block_id)["state"] != "running":
            return
        child, pid_file = self._children.get(block_id), self._home.block(block_id) / "block.pid"
        pid = child.pid if child is not None else read_json(pid_file)
        if isinstance(pid, int):
            self._cancelled.add(block_id)
            os.kill(pid, number)

    def watch(self, block_id: str) -> None:
        """Wake the supervisor when this block ends, whoever started it; costs no processor time meanwhile."""
        if block_id not in self._watched:
            self._watched.add(block_id)
            lock = self._home.block(block_id) / "lock"
            self._background.start(lambda: _wait_for_lock(lock), lambda: self._ended(block_id))

    def _ended(self, block_id: str) -> None:
        self._watched.discard(block_id)
        if self.status(block_id)["state"] == "running":  # the next attempt, begun before this was noticed
            self.watch(block_id)
            return
        child = self._children.pop(block_id, None)
        if child is not None:
            child.wait()

    def restore_state(self) -> List[str]:
        """Undo what a killed block left set; says what could not be. Only while no block runs."""
        return self._state.restore()

    def restore_state_if_idle(self) -> List[str]:
        """The same, unless a block of this home is running."""
        return [] if is_locked(self._home.block_lock) else self.restore_state()

    def _prune(self) -> None:
        """Forget old blocks whose windows are all fetched."""
        folders = sorted(self._home.blocks.iterdir(), key=lambda folder: folder.stat().st_mtime)
        ended = [folder for folder in folders if not self._spool.holds(folder.name)]
        for folder in ended[:-KEEP_ENDED]:
            shutil.rmtree(folder)


def is_locked(path: Path) -> bool:
    """Does a process hold this lock?"""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        return not _try_lock(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _lock(path: Path) -> int:
    """Take a lock that only blocks hold for long; raises Refused (busy)."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    for _ in range(_LOCK_TRIES):  # another supervisor that looks whether it is held holds it for an instant
        if _try_lock(descriptor, fcntl.LOCK_EX):
            return descriptor
        time.sleep(_LOCK_PAUSE_S)
    os.close(descriptor)
    raise Refused("busy", "a block is running on this device; wait for it or cancel it", retryable=True)


def _wait_for_lock(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def _as_read(plan: BlockPlan) -> Any:
    return json.loads(json.dumps(plan_to_json(plan)))
