"""The byte stream over a child process's stdin and stdout, every wait bounded."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import subprocess
import threading
from typing import IO

from lab.errors import ConnectionLost, TransportTimeout

from .deadlines import SLICE_S, remaining_s
from .device_text import clean_tail

PIPE_BYTES = 1024 * 1024
EXIT_WAIT_S = 3.0
"""How long a child may take to leave after end of file before it is killed."""

_STDERR_TAIL_BYTES = 4096


class PipeStream:
    """Owns the process: `close` gives it end of file, waits, then kills that one process if it is still there.

    One thread may send while another receives; `stderr` is the file the process writes its errors to.
    """

    def __init__(self, process: subprocess.Popen[bytes], stderr: IO[bytes]) -> None:
        if process.stdin is None or process.stdout is None:
            raise ValueError("the process needs pipes as stdin and stdout")
        self._process = process
        self._stdin = process.stdin
        self._stdout = process.stdout
        self._stderr = stderr
        self._sending = threading.Lock()
        self._receiving = threading.Lock()
        self._explaining = threading.Lock()
        self._closed = False
        self._errors = ""
        for pipe in (self._stdin, self._stdout):
            os.set_blocking(pipe.fileno(), False)
            with contextlib.suppress(OSError):  # not Linux, or above the user's limit: only slower
                fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, PIPE_BYTES)

    def send(self, view: memoryview, deadline_ns: int) -> int:
        """See ByteStream."""
        with self._sending:
            self._wait(self._stdin, select.POLLOUT, deadline_ns, "accepted no data")
            try:
                return os.write(self._stdin.fileno(), view)
            except BrokenPipeError:
                raise ConnectionLost(f"the agent's process no longer reads; {self.ending()}") from None

    def recv_into(self, view: memoryview, deadline_ns: int) -> int:
        """See ByteStream."""
        with self._receiving:
            self._wait(self._stdout, select.POLLIN, deadline_ns, "sent nothing")
            return os.readv(self._stdout.fileno(), [view])

    def close(self) -> None:
        """See ByteStream."""
        if self._closed:
            return
        self._closed = True
        with self._sending:
            self._stdin.close()
        try:
            self._process.wait(EXIT_WAIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        with self._receiving:
            self._stdout.close()
        with self._explaining:
            self._errors = self._stderr_tail()
            self._stderr.close()

    def ending(self) -> str:
        """See ByteStream; waits a moment for the exit status once the pipes have ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(SLICE_S)
        code = self._process.returncode
        with self._explaining:
            errors = self._errors if self._stderr.closed else self._stderr_tail()
        parts = []
        if code is not None:
            parts.append(f"its process ended {f'by signal {-code}' if code < 0 else f'with status {code}'}")
        if errors:
            parts.append(f"stderr: {errors}")
        return "; ".join(parts)

    def _wait(self, pipe: IO[bytes], event: int, deadline_ns: int, failure: str) -> None:
        """Return once the pipe is ready or has hung up."""
        while True:
            if self._closed or pipe.closed:
                raise ConnectionLost("the stream to the agent was closed here")
            poller = select.poll()
            poller.register(pipe.fileno(), event)
            left_s = remaining_s(deadline_ns)
            if poller.poll(1000 * min(left_s, SLICE_S)):
                return
            if left_s <= SLICE_S:
                raise TransportTimeout(f"the agent's process {failure} before the deadline")

    def _stderr_tail(self) -> str:
        size = self._stderr.seek(0, os.SEEK_END)
        self._stderr.seek(max(0, size - _STDERR_TAIL_BYTES))
        return clean_tail(self._stderr.read(_STDERR_TAIL_BYTES))
