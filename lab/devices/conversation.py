"""Requests and answers over one byte stream: a reader thread sorts what arrives, callers wait with deadlines."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from agents.wire.frames import FrameError
from agents.wire.link import Link
from agents.wire.messages import Header, Message, MessageType
from lab.domain.untrusted import Fields, clean_text
from lab.errors import ConnectionLost, LabError, ProtocolMismatch, TransportError, TransportTimeout
from lab.transports.base import ByteStream
from lab.transports.deadlines import deadline_after

from .clock_sync import Exchange, check
from .inbox import Arrival, Inbox
from .request import Liveness, Request

SEND_STALL_S = 30.0
"""How long one frame may take to leave before the link counts as dead."""

_READ_BYTES = 64 * 1024
_READ_SLICE_S = 60.0
_BYE_S = 1.0
_JOIN_S = 10.0
HELLO_ID = 0


class Conversation:
    """Owns the stream. Callers on several threads may have requests open at once."""

    def __init__(self, stream: ByteStream, link: Link, where: str, liveness: Liveness | None = None) -> None:
        self.where = where
        self._stream = stream
        self._link = link
        self._liveness = liveness or Liveness()
        self._ids = itertools.count(1)
        self._lock = threading.Lock()
        self._sending = threading.Lock()
        self._inboxes: dict[int, Inbox] = {HELLO_ID: Inbox()}
        self._failure: LabError | None = None
        self._heard_ns = time.monotonic_ns()
        self._closing = False
        self._reader = threading.Thread(target=self._read, name=f"reader of {where}", daemon=True)
        self._reader.start()

    def hello(self, timeout_s: float) -> Header:
        """The agent's first message; raises ProtocolMismatch if something else comes first."""
        with self._open(HELLO_ID) as inbox:
            message = self.wait(inbox, deadline_after(timeout_s), "HELLO").message
        if message.type is not MessageType.HELLO:
            raise ProtocolMismatch(f"{self.where}: expected HELLO, got {message.type.name}")
        return message.header

    def call(self, op: str, header: Header, timeout_s: float, liveness: Liveness | None = None) -> Fields:
        """Send a request and return its answer; raises what the agent answers with ERR, or TransportTimeout."""
        with self.request(op, header) as request:
            return request.answer(deadline_after(timeout_s), liveness)

    @contextmanager
    def request(self, op: str, header: Header) -> Iterator[Request]:
        """A request whose DATA the caller sends or reads; leaving without an answer cancels it."""
        number = next(self._ids)
        with self._open(number) as inbox:
            request = Request(self, inbox, number, op)
            self.send(Message(MessageType.REQ, number, {"op": op, **header}))
            try:
                yield request
            finally:
                if not request.answered:
                    with suppress(LabError):
                        self.send(Message(MessageType.CANCEL, number, {}))

    def ping(self, timeout_s: float) -> Exchange:
        """One PING and its PONG; raises ProtocolMismatch if the PONG's instants are impossible."""
        number = next(self._ids)
        with self._open(number) as inbox:
            t0_ns = time.monotonic_ns()
            self.send(Message(MessageType.PING, number, {"t0_ns": t0_ns}))
            arrival = self.wait(inbox, deadline_after(timeout_s), "PONG")
        if arrival.message.type is not MessageType.PONG:
            raise ProtocolMismatch(f"{self.where}: expected PONG, got {arrival.message.type.name}")
        fields = Fields.of(arrival.message.header, f"({self.where}) PONG")
        exchange = Exchange(t0_ns, fields.whole("t1_ns"), fields.whole("t2_ns"), arrival.arrived_ns)
        return check(exchange, f"{self.where}: PONG")

    def send(self, message: Message, stall_s: float = SEND_STALL_S) -> None:
        """Write one message whole; a link that stalls in the middle of a frame is beyond use and given up."""
        with self._sending:
            self._raise_failure()
            try:
                self._link.send(message)
                self._flush(stall_s)
            except FrameError as error:  # ours to avoid; nothing was written
                raise ProtocolMismatch(f"{self.where}: {error}") from None
            except TransportError as error:
                raise self._fail(type(error)(f"{self.where}: {error}")) from None

    def wait(self, inbox: Inbox, deadline_ns: int, what: str, liveness: Liveness | None = None) -> Arrival:
        """The next arrival; asks the agent for a sign of life when the line stays silent."""
        liveness = liveness or self._liveness
        started_ns = asked_ns = time.monotonic_ns()
        while True:
            heard_ns = max(self._heard_ns, started_ns)
            ask_at_ns = max(heard_ns, asked_ns) + int(liveness.quiet_s * 1e9)
            arrival = inbox.get(min(deadline_ns, ask_at_ns))
            if arrival is not None:
                return arrival
            now_ns = time.monotonic_ns()
            if now_ns >= deadline_ns:
                raise TransportTimeout(f"{self.where}: no answer to {what} before the deadline")
            if now_ns - heard_ns >= liveness.dead_s * 1e9:
                raise self._fail(ConnectionLost(
                    f"{self.where}: not a byte for {liveness.dead_s:g} s while waiting for {what}; is it still on?"))
            if now_ns >= ask_at_ns:
                asked_ns = now_ns
                self.send(Message(MessageType.PING, next(self._ids), {"t0_ns": now_ns}))

    def close(self) -> None:
        """Say BYE if the link still works, end the stream and the reader; idempotent."""
        if self._closing:
            return
        with suppress(LabError):
            self.send(Message(MessageType.BYE, 0, {}), _BYE_S)
        self._closing = True
        self._fail(ConnectionLost(f"{self.where}: the session was closed here"))
        self._stream.close()
        self._reader.join(_JOIN_S)

    @contextmanager
    def _open(self, number: int) -> Iterator[Inbox]:
        with self._lock:
            inbox = self._inboxes.setdefault(number, Inbox())
            if self._failure:
                inbox.fail(self._failure)
        try:
            yield inbox
        finally:
            with self._lock:
                self._inboxes.pop(number, None)
            inbox.close()

    def _flush(self, stall_s: float) -> None:
        while True:
            frame, _ = self._link.poll(time.monotonic_ns())
            if not frame:
                return
            deadline_ns = deadline_after(stall_s)
            view = memoryview(frame)
            while view:
                view = view[self._stream.send(view, deadline_ns):]

    def _read(self) -> None:
        try:
            self._read_until_failure()
        finally:  # whatever ended this thread, nobody may wait for it
            self._fail(ConnectionLost(f"{self.where}: the reader of this link stopped"))

    def _read_until_failure(self) -> None:
        buffer = bytearray(_READ_BYTES)
        view = memoryview(buffer)
        while self._failure is None:
            try:
                size = self._stream.recv_into(view, deadline_after(_READ_SLICE_S))
                now_ns = time.monotonic_ns()
                if size == 0:
                    ending = self._stream.ending()
                    raise ConnectionLost(f"the agent ended the link{f'; {ending}' if ending else ''}")
                self._heard_ns = now_ns
                for message in self._link.receive(bytes(view[:size]), now_ns):
                    self._deliver(Arrival(message, now_ns))
            except TransportTimeout:
                continue
            except FrameError as error:
                self._fail(ProtocolMismatch(f"{self.where}: {clean_text(str(error))}"))
            except TransportError as error:
                self._fail(type(error)(f"{self.where}: {error}"))

    def _deliver(self, arrival: Arrival) -> None:
        """Answers to requests that nobody waits for any more are dropped."""
        if arrival.message.type is MessageType.BYE:
            raise ConnectionLost("the agent said goodbye")
        with self._lock:
            inbox = self._inboxes.get(arrival.message.id)
        if inbox is not None:
            inbox.put(arrival)

    def _fail(self, failure: LabError) -> LabError:
        """Remember the first failure and wake every caller with it; returns the one to raise."""
        with self._lock:
            self._failure = self._failure or failure
            for inbox in self._inboxes.values():
                inbox.fail(self._failure)
            return self._failure

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise type(self._failure)(str(self._failure))
