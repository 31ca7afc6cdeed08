"""Work that waits, in threads of its own; what follows it runs in the supervisor's loop."""

from __future__ import annotations

import os
import queue
import threading
from contextlib import suppress
from typing import Callable


class Background:
    """Runs functions in daemon threads and wakes a `select` through `descriptor` when one has returned."""

    def __init__(self) -> None:
        self._finished: "queue.SimpleQueue[Callable[[], None]]" = queue.SimpleQueue()
        self.descriptor, self._write = os.pipe()
        os.set_blocking(self.descriptor, False)
        os.set_blocking(self._write, False)

    def start(self, work: Callable[[], None], then: Callable[[], None]) -> None:
        """Run `work` in a thread, which should keep its own errors; `then` runs at the next `settle`."""
        threading.Thread(target=self._run, args=(work, then), daemon=True).start()

    def _run(self, work: Callable[[], None], then: Callable[[], None]) -> None:
        try:
            work()
        finally:
            self._finished.put(then)
            self._wake()

    def _wake(self) -> None:
        with suppress(BlockingIOError, BrokenPipeError):  # full of wake-ups already, or nobody waits any more
            os.write(self._write, b"!")

    def settle(self) -> bool:
        """Run what follows finished work; was there any?"""
        with suppress(BlockingIOError):
            while os.read(self.descriptor, 512):
                pass
        any_finished = False
        while not self._finished.empty():
            self._finished.get()()
            any_finished = True
        return any_finished

    def close(self) -> None:
        """Stop waking; threads that still wait end with the process."""
        os.close(self.descriptor)
