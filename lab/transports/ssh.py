"""The agent over SSH: one connection, one command, its stdin and stdout."""

from __future__ import annotations

from typing import ClassVar, Literal

from lab.errors import HostKeyError

from .base import AgentBundle, ByteStream
from .deadlines import deadline_after
from .known_hosts import HostKey, pin_label
from .ssh_auth import log_in
from .ssh_channel import start_command
from .ssh_connect import connect, presented_key
from .ssh_target import SshTarget, resolve, target_from_url
from .start_script import AgentStart
from .startup import start_agent

__all__ = ["HostKey", "SshTarget", "SshTransport", "accept_host_key", "fetch_host_key", "target_from_url"]


class SshTransport:
    """Reaches one SSH device; nothing happens before `open`."""

    link: ClassVar[Literal["stream", "serial"]] = "stream"

    def __init__(self, target: SshTarget) -> None:
        self._target = target

    @property
    def where(self) -> str:
        """What error texts call this device."""
        return self._target.url

    def open(self, bundle: AgentBundle) -> ByteStream:
        """See Transport; also raises ConfigError where ~/.ssh/config asks for what is not supported."""
        target = self._target
        resolved = resolve(target)
        start = AgentStart(bundle=bundle, home=target.agent_home, python=target.python)
        command = start.shell_line()
        transport = connect(resolved)
        try:
            log_in(transport, resolved)
        except BaseException:
            transport.close()
            raise
        stream = start_command(transport, command, resolved.where, target.connect_timeout_s)
        return start_agent(stream, start, resolved.where, deadline_after(target.start_timeout_s))


def fetch_host_key(target: SshTarget) -> HostKey:
    """The key the host presents now, trusted or not; raises ConnectFailed or ConfigError."""
    return presented_key(resolve(target))


def accept_host_key(target: SshTarget, fingerprint: str) -> HostKey:
    """Pin the host's key if it has this SHA256 fingerprint; raises HostKeyError if the host presents another."""
    resolved = resolve(target)
    key = presented_key(resolved)
    if key.fingerprint != fingerprint:
        raise HostKeyError(f"{resolved.where}: asked to accept {fingerprint}, but the host presents {key.type} "
                           f"{key.fingerprint}; nothing was pinned")
    pin_label(target.known_hosts, resolved.key_label, key)
    return key
