"""Deadlines as `time.monotonic_ns()` instants, and a way to bound calls that take no timeout of their own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from lab.errors import TransportTimeout

T = TypeVar("T")

SLICE_S = 0.25
"""Longest single wait in a loop towards a deadline, so that a stream closed by another thread is noticed."""


def deadline_after(seconds: float) -> int:
    """The instant this many seconds from now, in ns."""
    return time.monotonic_ns() + int(seconds * 1e9)


def remaining_s(deadline_ns: int) -> float:
    """Seconds left until a deadline, never below 0."""
    return max(0.0, (deadline_ns - time.monotonic_ns()) / 1e9)


def call_within(seconds: float, function: Callable[[], T], what: str) -> T:
    """The function's result, or its exception; raises TransportTimeout if it has not returned in time.

    The function then goes on in a daemon thread: let the caller end what it waits for.
    """
    results: list[T] = []
    failures: list[BaseException] = []

    def body() -> None:
        try:
            results.append(function())
        except BaseException as error:  # noqa: BLE001 - handed to the calling thread, which raises it
            failures.append(error)

    thread = threading.Thread(target=body, name=f"bounded: {what}", daemon=True)
    thread.start()
    thread.join(seconds)
    if failures:
        raise failures[0]
    if not results:
        raise TransportTimeout(f"{what}: no end within {seconds:g} s")
    return results[0]
