"""The byte stream over one SSH channel, every wait bounded."""

from __future__ import annotations

import contextlib
import threading
from typing import cast

import paramiko

from lab.domain.untrusted import clean_text
from lab.errors import ConnectFailed, ConnectionLost, TransportTimeout

from .deadlines import SLICE_S, call_within, remaining_s
from .device_text import clean_tail

MAX_SEND_BYTES = 32704
"""What one SSH packet of 32768 bytes carries; more would be split with a second round of packet costs."""

_STDERR_KEPT_BYTES = 4096
_JOIN_S = 2.0


def start_command(transport: paramiko.Transport, command: str, where: str, timeout_s: float) -> ChannelStream:
    """The stream of a remote command, without a terminal; closes the connection if it cannot be started in time."""
    try:
        # Starting a command has no timeout of its own; closing the connection ends the wait.
        return call_within(timeout_s, lambda: _start(transport, command), f"{where}: start of the remote command")
    except (paramiko.SSHException, EOFError, OSError) as error:
        transport.close()
        raise ConnectFailed(f"{where}: the server started no command: {clean_text(str(error))}") from None
    except BaseException:
        transport.close()
        raise


def _start(transport: paramiko.Transport, command: str) -> ChannelStream:
    channel = transport.open_session()
    channel.exec_command(command)
    return ChannelStream(transport, channel)


class ChannelStream:
    """Owns the connection. One thread may send while another receives; stderr is drained by a thread of its own."""

    def __init__(self, transport: paramiko.Transport, channel: paramiko.Channel) -> None:
        self._transport = transport
        self._channel = channel
        self._stderr = bytearray()
        self._closed = False
        channel.settimeout(SLICE_S)  # one value for both directions, so both loop in slices towards their deadlines
        self._drain = threading.Thread(target=self._drain_stderr, name="ssh stderr", daemon=True)
        self._drain.start()

    def send(self, view: memoryview, deadline_ns: int) -> int:
        """See ByteStream; at most one SSH packet."""
        data = cast("bytes", view[:MAX_SEND_BYTES])  # any buffer will do, and a copy of each packet would cost time
        while True:
            self._check_open()
            try:
                sent = self._channel.send(data)
            except TimeoutError:
                if remaining_s(deadline_ns) == 0:
                    raise TransportTimeout("the SSH channel accepted no data before the deadline") from None
                continue
            except (OSError, EOFError, paramiko.SSHException) as error:
                raise ConnectionLost(f"the SSH link ended: {clean_text(str(error))}; {self.ending()}") from None
            if sent == 0:
                raise ConnectionLost(f"the SSH link ended; {self.ending()}")
            return sent

    def recv_into(self, view: memoryview, deadline_ns: int) -> int:
        """See ByteStream."""
        while True:
            self._check_open()
            try:
                data = self._channel.recv(len(view))
            except TimeoutError:
                if remaining_s(deadline_ns) == 0:
                    raise TransportTimeout("the SSH channel sent nothing before the deadline") from None
                continue
            except (OSError, EOFError, paramiko.SSHException) as error:
                raise ConnectionLost(f"the SSH link ended: {clean_text(str(error))}; {self.ending()}") from None
            view[:len(data)] = data
            return len(data)

    def close(self) -> None:
        """See ByteStream; the remote process sees end of file on its stdin."""
        self._closed = True
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException):  # if it is gone already, that is fine
            self._channel.close()
        self._transport.close()
        self._transport.join(_JOIN_S)
        self._drain.join(_JOIN_S)

    def end_input(self) -> None:
        """The remote command sees the end of its input; what it prints can still be read."""
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException):  # it may have ended already
            self._channel.shutdown_write()

    def exit_status(self, deadline_ns: int) -> int | None:
        """The remote command's, or None if a signal or the link ended it first; raises TransportTimeout."""
        if not self._channel.status_event.wait(remaining_s(deadline_ns)):
            raise TransportTimeout("the remote command did not end before the deadline")
        return self._channel.exit_status if self._channel.exit_status >= 0 else None

    def complaint(self) -> str:
        """The end of what the remote command wrote to its stderr so far."""
        return clean_tail(bytes(self._stderr))

    def is_answered(self, timeout_s: float) -> bool:
        """Whether the other end answers within `timeout_s`; a device that lost its power cannot say so."""
        try:
            # Any server answers, if only that it does not know the request; closing the connection ends the wait.
            call_within(timeout_s, lambda: self._transport.global_request("keepalive@openssh.com"), "keepalive")
        except (TransportTimeout, OSError, EOFError, paramiko.SSHException):
            return False
        return self._transport.is_active()

    def ending(self) -> str:
        """See ByteStream; waits a moment for the exit status and the rest of stderr."""
        parts = []
        if self._channel.status_event.wait(SLICE_S) and self._channel.exit_status >= 0:
            parts.append(f"the remote command ended with status {self._channel.exit_status}")
            self._drain.join(_JOIN_S)
        elif not self._transport.is_active():
            failure = self._transport.get_exception()
            parts.append(f"the SSH connection is down{f' ({clean_text(str(failure))})' if failure else ''}")
        if self._stderr:
            parts.append(f"stderr: {clean_tail(bytes(self._stderr))}")
        return "; ".join(parts)

    def _check_open(self) -> None:
        if self._closed:
            raise ConnectionLost("the stream to the agent was closed here")

    def _drain_stderr(self) -> None:
        """Unread stderr would fill the channel's window and stop the agent."""
        while True:
            try:
                data = self._channel.recv_stderr(_STDERR_KEPT_BYTES)
            except TimeoutError:
                if self._closed:
                    return
                continue
            except (OSError, EOFError, paramiko.SSHException):
                return
            if not data:
                return
            self._stderr += data
            del self._stderr[:-_STDERR_KEPT_BYTES]
