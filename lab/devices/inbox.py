"""What has arrived for one conversation and nobody has read yet: bounded, so that a fast device cannot fill memory."""

from __future__ import annotations

import threading
from collections import deque
from typing import NamedTuple

from agents.wire.messages import Message
from lab.errors import LabError
from lab.transports.deadlines import remaining_s

MAX_QUEUED_BYTES = 1024 * 1024


class Arrival(NamedTuple):
    """A message and when its last byte was read (monotonic ns)."""

    message: Message
    arrived_ns: int


class Inbox:
    """Filled by the reader thread, emptied by the caller of one request."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._arrivals: deque[Arrival] = deque()
        self._bytes = 0
        self._failure: LabError | None = None
        self._closed = False

    def put(self, arrival: Arrival) -> None:
        """Queue an arrival; waits while more than 1 MiB is unread, which holds up the link."""
        with self._changed:
            self._changed.wait_for(lambda: self._bytes <= MAX_QUEUED_BYTES or self._closed or self._failure is not None)
            if not self._closed:
                self._arrivals.append(arrival)
                self._bytes += len(arrival.message.body)
                self._changed.notify_all()

    def fail(self, failure: LabError) -> None:
        """Let readers see this error once they have read what came before it."""
        with self._changed:
            self._failure = self._failure or failure
            self._changed.notify_all()

    def get(self, deadline_ns: int) -> Arrival | None:
        """The next arrival, or None at the deadline; raises the failure that ended the conversation."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._arrivals) or self._failure is not None, remaining_s(deadline_ns))
            if self._arrivals:
                arrival = self._arrivals.popleft()
                self._bytes -= len(arrival.message.body)
                self._changed.notify_all()
                return arrival
            if self._failure is not None:
                raise type(self._failure)(str(self._failure))
            return None

    def peek(self) -> bool:
        """Whether `get` would return or raise at once."""
        with self._changed:
            return bool(self._arrivals) or self._failure is not None

    def close(self) -> None:
        """Drop what is queued and all that still comes."""
        with self._changed:
            self._closed = True
            self._arrivals.clear()
            self._changed.notify_all()
