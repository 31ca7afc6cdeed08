"""Facts while somebody measures: looking for them loads the runtimes, which would disturb an open window."""

from __future__ import annotations

import fcntl
import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Callable, Dict, NamedTuple, Optional, Sequence

from agents.block_control import is_locked
from agents.children import bundle_sha256
from agents.clocks import read_boot_id
from agents.errors import Refused
from agents.facts import Fact, folder_times, gather_facts
from agents.home import AgentHome, read_json, write_json
from agents.host_lock import open_host_lock
from agents.wire.host_lock_place import host_lock_folder

WAIT_S = 20.0
"""How long facts that are not known yet wait for the host."""

_POLL_S = 1.0  # seldom, so that the wait itself does not disturb

Gather = Callable[[Path, Sequence[int]], Fact]


class FactsCache(NamedTuple):
    """The last answer, in `facts.json` of the agent's home; good as long as nothing it depends on has changed."""

    home: AgentHome
    root: Path
    gather: Gather = gather_facts
    lock_folder: Optional[Path] = None
    wait_s: float = WAIT_S

    def facts(self) -> Fact:
        """Looked for now, with the host to ourselves; while it is busy, what is remembered.

        Raises Refused: busy where nothing is remembered and the host stays busy, facts_failed.
        """
        descriptor = open_host_lock(self.lock_folder or host_lock_folder())
        try:
            is_free = _try_lock(descriptor)
            if not is_free or is_locked(self.home.block_lock):
                known = self._remembered()
                if known is not None:
                    return known
            if not is_free:
                self._wait(descriptor)
            found = self.gather(self.root, [descriptor])
        finally:
            os.close(descriptor)
        self._remember(found)
        return _told(found)

    def _wait(self, descriptor: int) -> None:
        until = time.monotonic() + self.wait_s
        while not _try_lock(descriptor):
            left_s = until - time.monotonic()
            if left_s <= 0:
                raise Refused("busy", "this machine is being measured or used by another campaign, and its runtimes "
                                      f"and probes are not known yet; waited {self.wait_s:.0f} s, ask again later",
                              retryable=True)
            time.sleep(min(_POLL_S, left_s))

    def _key(self) -> Dict[str, str]:
        return {"agent_sha256": bundle_sha256(), "boot_id": read_boot_id(), "root": str(self.root),
                "python": f"{sys.executable} {sys.version}"}

    def _remembered(self) -> Optional[Fact]:
        try:
            kept: Any = read_json(self.home.facts)
            if kept["key"] == self._key() and kept["folders"] == folder_times(list(kept["folders"])):
                return _told(kept["facts"])
        except (OSError, TypeError, KeyError):
            pass  # absent or damaged: then it is looked for
        return None

    def _remember(self, found: Fact) -> None:
        with suppress(OSError):  # a home that cannot be written costs the memory, not the answer
            write_json(self.home.facts, {"key": self._key(), "folders": found["folders"], "facts": found})


def _told(found: Fact) -> Fact:
    return {name: value for name, value in found.items() if name != "folders"}


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
