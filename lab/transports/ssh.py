"""The agent over SSH: one connection, one command, its stdin and stdout."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from lab.errors import HostKeyError

from .base import AgentBundle, ByteStream, CommandEnd
from .deadlines import deadline_after
from .known_hosts import HostKey, known_keys, pin_label
from .ssh_auth import log_in
from .ssh_channel import ChannelStream, start_command
from .ssh_command import run_to_end
from .ssh_connect import comparable_key, connect, presented_key
from .ssh_target import ResolvedTarget, SshTarget, resolve, target_from_url
from .start_script import AgentStart
from .startup import start_agent

__all__ = ["HostKey", "SeenKey", "SshTarget", "SshTransport", "accept_host_key", "fetch_host_key", "see_host_key",
           "target_from_url"]


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
        stream = _started(resolved, start.shell_line())
        return start_agent(stream, start, resolved.where, deadline_after(target.start_timeout_s))

    def run_command(self, command: str, timeout_s: float, *, gone_within_s: float = 0.0) -> CommandEnd:
        """See RunsCommands; the user's login shell on the device reads the line."""
        resolved = resolve(self._target)
        return run_to_end(_started(resolved, command), resolved.where, timeout_s, gone_within_s=gone_within_s)


def _started(resolved: ResolvedTarget, command: str) -> ChannelStream:
    """A connection of its own, logged in, with this command begun on it."""
    transport = connect(resolved)
    try:
        log_in(transport, resolved)
    except BaseException:
        transport.close()
        raise
    return start_command(transport, command, resolved.where, resolved.target.connect_timeout_s)


@dataclass(frozen=True, kw_only=True)
class SeenKey:
    """The key a host presents now, and what is known of it here; `changed` where another one is known."""

    key: HostKey
    standing: Literal["known", "unknown", "changed", "revoked"]


def see_host_key(target: SshTarget) -> SeenKey:
    """The key the host presents, held against what is known; nothing is pinned. Raises ConnectFailed or ConfigError."""
    resolved = resolve(target)
    known = known_keys(target.known_hosts, target.user_known_hosts, resolved.key_label)
    key = comparable_key(resolved, known)
    if known.revokes(key):
        return SeenKey(key=key, standing="revoked")
    if known.accepts(key):
        return SeenKey(key=key, standing="known")
    # What `accept_host_key` will be shown, which may be another of the host's keys.
    return SeenKey(key=presented_key(resolved), standing="changed" if known.types else "unknown")


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
