"""How the block process waits: asleep in the kernel until a child ends, a signal comes or time is up."""

from __future__ import annotations

import os
import select
import signal
import time
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Callable, Iterator, Optional


class Cancelled(Exception):
    """SIGTERM came: end early, but in order."""


def _never() -> bool:
    return False


class Waiter:
    """Context manager that turns SIGTERM and SIGCHLD into wake-ups; main thread only."""

    def __init__(self, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self._clock = clock
        self._cancelled = False
        self._raise_at_once = False

    def __enter__(self) -> Waiter:
        self._read, self._write = os.pipe()
        for descriptor in (self._read, self._write):
            os.set_blocking(descriptor, False)
        self._old_descriptor = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        self._old_term = signal.signal(signal.SIGTERM, self._on_term)
        self._old_child = signal.signal(signal.SIGCHLD, self._on_child)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGCHLD, self._old_child)
        signal.signal(signal.SIGTERM, self._old_term)
        signal.set_wakeup_fd(self._old_descriptor)
        os.close(self._read)
        os.close(self._write)

    def wait(self, until_ns: int, is_over: Callable[[], bool] = _never) -> bool:
        """Sleep until `is_over` (asked after every signal) or the instant; which of both. Raises Cancelled."""
        while True:
            self.check()
            if is_over():
                return True
            left_ns = until_ns - self._clock()
            if left_ns <= 0:
                return False
            select.select([self._read], [], [], left_ns / 1e9)
            self._drain()

    def check(self) -> None:
        """Raise Cancelled if SIGTERM has come."""
        if self._cancelled:
            raise Cancelled("the block was cancelled")

    @contextmanager
    def interrupting(self) -> Iterator[None]:
        """Inside, SIGTERM raises Cancelled at once: for system calls that wait by themselves."""
        self._raise_at_once = True
        try:
            self.check()
            yield
        finally:
            self._raise_at_once = False

    def _drain(self) -> None:
        with suppress(BlockingIOError):
            while os.read(self._read, 512):
                pass

    def _on_term(self, _number: int, _frame: Optional[FrameType]) -> None:
        self._cancelled = True
        if self._raise_at_once:
            self.check()

    def _on_child(self, _number: int, _frame: Optional[FrameType]) -> None:
        pass  # its byte in the pipe is what wakes `wait`
