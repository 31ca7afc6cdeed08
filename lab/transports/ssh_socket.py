"""A TCP connection that never waits for ever, neither while it is made nor when the other side falls silent."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Any, TypeAlias

from lab.errors import ConnectFailed, TransportTimeout

from .deadlines import call_within
from .ssh_target import ResolvedTarget

_LIVENESS = {"TCP_KEEPIDLE": 20, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 4, "TCP_USER_TIMEOUT": 60_000}
"""Seconds, seconds, probes, milliseconds."""

_Address: TypeAlias = tuple[socket.AddressFamily, socket.SocketKind, int, str, Any]


def connected_socket(resolved: ResolvedTarget) -> socket.socket:
    """A TCP connection to the host; raises ConnectFailed saying which kind of nobody-there it was."""
    timeout_s = resolved.target.connect_timeout_s
    try:
        # The name look-up has no timeout of its own.
        addresses = call_within(timeout_s, lambda: _look_up(resolved), "name look-up")
    except TransportTimeout:
        raise ConnectFailed(f"{resolved.where}: {resolved.host} was not resolved within {timeout_s:g} s") from None
    except (socket.gaierror, UnicodeError) as error:
        raise ConnectFailed(
            f"{resolved.where}: host name {resolved.host!r} cannot be resolved: {error}; is it spelled right?"
        ) from None
    failures = []
    for family, kind, protocol, _, address in addresses:
        connection = socket.socket(family, kind, protocol)
        try:
            connection.settimeout(timeout_s)
            connection.connect(address)
        except OSError as error:
            connection.close()
            failures.append(_no_connection(error, resolved.port, timeout_s))
            continue
        _tune(connection)
        return connection
    raise ConnectFailed(f"{resolved.where}: {'; '.join(dict.fromkeys(failures))}")


def _look_up(resolved: ResolvedTarget) -> Sequence[_Address]:
    return socket.getaddrinfo(resolved.host, resolved.port, type=socket.SOCK_STREAM)


def _no_connection(error: OSError, port: int, timeout_s: float) -> str:
    if isinstance(error, ConnectionRefusedError):
        return f"connection refused; is an SSH server running on port {port}?"
    if isinstance(error, TimeoutError):
        return f"no answer within {timeout_s:g} s; is the device switched on and on this network?"
    return f"cannot be reached: {error.strerror or error}"


def _tune(connection: socket.socket) -> None:
    """One packet per request without delay, and a dead peer noticed although nothing is sent."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _LIVENESS.items():
        if hasattr(socket, name):  # not every system has them
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
