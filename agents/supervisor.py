"""The agent's loop: one thread between the wire and everything else; it answers while a window is measured."""

from __future__ import annotations

import fcntl
import os
import select
import sys
import time
import traceback
from collections import deque
from contextlib import suppress
from typing import Any, Callable, Deque, Dict, NamedTuple, Optional, Tuple

from agents.errors import Refused, refused_by_system
from agents.ops import OPERATIONS
from agents.ops.base import Answer, Header, Later, Services, Stream
from agents.ops.uploads import take_data
from agents.wire.frames import FrameError
from agents.wire.link import StreamLink
from agents.wire.messages import Message, MessageType

PIPE_BYTES = 1024 * 1024
READ_BYTES = 128 * 1024
"""Larger reads are slower: each fresh megabyte costs page faults in decoding."""
FRAMES_PER_TURN = 64
"""Written before the loop looks at its input again, so that a CANCEL is heard during a long download."""

_F_SETPIPE_SZ = 1031  # include/uapi/linux/fcntl.h; named in the fcntl module only from Python 3.10


class Wire(NamedTuple):
    """Descriptors to the controller, private to the supervisor."""

    reader: int
    writer: int


def claim_wire() -> Wire:
    """Take stdin and stdout away from everything else in this process, C libraries included.

    What they print goes to stderr from here on; what they read is empty.
    """
    wire = Wire(os.dup(0), os.dup(1))
    os.dup2(2, 1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.set_blocking(wire.writer, False)
    with suppress(OSError):  # not a pipe, or the system allows no larger one
        fcntl.fcntl(wire.reader, _F_SETPIPE_SZ, PIPE_BYTES)
    return wire


class Supervisor:
    """Serves one controller over one wire until it says goodbye or the wire ends."""

    def __init__(self, services: Services, wire: Wire, preamble: bytes, hello: Header,
                 clock: Callable[[], int] = time.monotonic_ns) -> None:
        self._services = services
        self._wire = wire
        self._clock = clock
        self._link = StreamLink()
        self._unwritten = memoryview(preamble)
        self._later: Dict[int, Later] = {}
        self._streams: Deque[Tuple[int, Stream]] = deque()
        self._send(MessageType.HELLO, 0, hello)

    def run(self) -> int:
        """The loop; exit status 0 after BYE or the end of the wire, 2 after garbage on it."""
        try:
            while self._write():
                readable = self._sleep()
                if self._services.background.descriptor in readable and self._services.background.settle():
                    self._ask_again()
                self._expire()
                if self._wire.reader in readable and not self._read():
                    break
        except FrameError as error:
            sys.stderr.write(f"agent: the controller's bytes make no sense: {error}\n")
            self._send(MessageType.ERR, 0, Refused("garbage", str(error)).header())
            self._write()
            return 2
        else:
            self._write()
            return 0
        finally:
            for upload in self._services.uploads.values():
                upload.close()

    def _sleep(self) -> Any:
        deadlines_ns = [later.deadline_ns for later in self._later.values()]
        timeout_s = max(0, min(deadlines_ns) - self._clock()) / 1e9 if deadlines_ns else None
        has_output = bool(self._unwritten or self._link.queued or self._streams)
        writers = [self._wire.writer] if has_output else []
        readable, _, _ = select.select([self._wire.reader, self._services.background.descriptor], writers, [],
                                       timeout_s)
        return readable

    def _read(self) -> bool:
        try:
            data = os.read(self._wire.reader, READ_BYTES)
        except ConnectionResetError:
            return False
        now_ns = self._clock()
        if not data:
            return False
        return all(self._take(message, now_ns) for message in self._link.receive(data, now_ns))

    def _take(self, message: Message, now_ns: int) -> bool:
        kind = message.type
        if kind == MessageType.DATA:
            refusal = take_data(self._services, message.header, message.body)
            if refusal is not None:
                self._send(MessageType.ERR, message.id, refusal.header())
        elif kind == MessageType.PING:
            times = {"t0_ns": message.header.get("t0_ns"), "t1_ns": now_ns, "t2_ns": self._clock()}
            self._send(MessageType.PONG, message.id, times)
        elif kind == MessageType.REQ:
            self._dispatch(message.id, lambda: self._operate(message))
        elif kind == MessageType.CANCEL:
            self._cancel(message.id)
        return kind != MessageType.BYE

    def _operate(self, message: Message) -> Answer:
        if message.id in self._later or any(message.id == number for number, _ in self._streams):
            raise Refused("bad_request", f"request {message.id} is still being answered; use another id")
        name = message.header.get("op")
        operation = OPERATIONS.get(name) if isinstance(name, str) else None
        if operation is None:
            raise Refused("unknown_op", f"no operation {name!r:.200}; this agent has {', '.join(OPERATIONS)}")
        return operation(self._services, message.header)

    def _dispatch(self, number: int, work: Callable[[], Optional[Answer]]) -> None:
        """Do one piece of work for a request and send what came out; nothing it does may end the loop."""
        try:
            self._answer(number, work())
        except Refused as refusal:
            self._fail(number, refusal)
        except OSError as error:
            self._fail(number, refused_by_system(error))
        except Exception as error:  # noqa: BLE001  the agent outlives its own mistakes and says so
            traceback.print_exc()
            self._fail(number, Refused("internal", f"the agent has a defect: {type(error).__name__}: {error}"))

    def _answer(self, number: int, answer: Optional[Answer]) -> None:
        if isinstance(answer, Later):
            self._later[number] = answer
            self._ask(number)
        elif isinstance(answer, Stream):
            self._streams.append((number, answer))
        elif answer is not None:
            self._later.pop(number, None)
            self._send(MessageType.RES, number, answer)

    def _fail(self, number: int, refusal: Refused) -> None:
        self._later.pop(number, None)
        self._send(MessageType.ERR, number, refusal.header())

    def _ask_again(self) -> None:
        for number in tuple(self._later):
            self._ask(number)

    def _ask(self, number: int) -> None:
        self._dispatch(number, self._later[number].poll)

    def _expire(self) -> None:
        now_ns = self._clock()
        for number, later in tuple(self._later.items()):
            if now_ns >= later.deadline_ns:
                self._dispatch(number, later.at_deadline)

    def _cancel(self, number: int) -> None:
        """Answer a request that is still open with ERR cancelled; anything else is left alone."""
        streams = [entry for entry in self._streams if entry[0] != number]
        if number in self._later or len(streams) < len(self._streams):
            self._streams = deque(streams)
            self._fail(number, Refused("cancelled", "cancelled by the controller"))

    def _send(self, kind: MessageType, number: int, header: Header, body: bytes = b"") -> None:
        self._link.send(Message(kind, number, header, body))

    def _write(self) -> bool:
        """Write what fits; false once nobody reads any more."""
        for _ in range(FRAMES_PER_TURN):
            if not self._unwritten:
                self._fill()
                self._unwritten = memoryview(self._link.poll(self._clock())[0])
            if not self._unwritten:
                break
            try:
                written = os.write(self._wire.writer, self._unwritten)
            except BlockingIOError:
                break
            except (BrokenPipeError, ConnectionResetError):
                return False
            self._unwritten = self._unwritten[written:]
        return True

    def _fill(self) -> None:
        """Take one more chunk from the oldest stream once the link has nothing left."""
        if self._link.queued or not self._streams:
            return
        number, stream = self._streams.popleft()

        def step() -> Optional[Answer]:
            chunk = next(stream.chunks, None)
            if chunk is None:
                return stream.last
            self._send(MessageType.DATA, number, *chunk)
            self._streams.appendleft((number, stream))
            return None

        self._dispatch(number, step)
