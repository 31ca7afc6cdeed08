"""The encrypted connection before login: socket, key exchange, and the host key held against what is known."""

from __future__ import annotations

import contextlib
import logging
import socket
from collections.abc import Iterator
from typing import TypeVar

import paramiko

from lab.domain.untrusted import clean_text
from lab.errors import ConnectFailed, HostKeyError

from .known_hosts import HostKey, KnownKeys, known_keys
from .ssh_socket import connected_socket
from .ssh_target import ResolvedTarget

GCM_CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com")
NEVER_REKEY = 2**40
"""Our side never starts a new key exchange: paramiko can deadlock in its own. The server may."""

_RSA_SIGNATURES = ("rsa-sha2-512", "rsa-sha2-256")
_HOST_KEY_SIGNATURES = (
    "ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", *_RSA_SIGNATURES,
)

_Closable = TypeVar("_Closable", socket.socket, paramiko.Transport)

# Everything the library has to say reaches the user as our own error; unhandled it would print tracebacks.
logging.getLogger("paramiko").addHandler(logging.NullHandler())


def connect(resolved: ResolvedTarget) -> paramiko.Transport:
    """An encrypted connection to the host whose key is known; raises ConnectFailed or HostKeyError.

    Only the types of the known keys are offered, or a server with several keys would show one we cannot compare.
    """
    target = resolved.target
    known = known_keys(target.known_hosts, target.user_known_hosts, resolved.key_label)
    if not usable_types(known):
        raise HostKeyError(_unknown(resolved, known, presented_key(resolved)))
    try:
        transport = _negotiate(resolved, usable_types(known))
    except _NoCommonHostKey:
        raise HostKeyError(_changed(resolved, known, presented_key(resolved))) from None
    key = server_key(transport)
    if known.accepts(key):
        return transport
    transport.close()
    raise HostKeyError(_changed(resolved, known, key))


def presented_key(resolved: ResolvedTarget) -> HostKey:
    """The key the host shows to someone who knows none; raises ConnectFailed."""
    with contextlib.closing(_negotiate(resolved, ())) as transport:
        return server_key(transport)


def comparable_key(resolved: ResolvedTarget, known: KnownKeys) -> HostKey:
    """The host's key of a type that is known of it, else the one it shows to a stranger; raises ConnectFailed."""
    try:
        with contextlib.closing(_negotiate(resolved, usable_types(known))) as transport:
            return server_key(transport)
    except _NoCommonHostKey:
        return presented_key(resolved)


def server_key(transport: paramiko.Transport) -> HostKey:
    """The key the server proved to hold."""
    key = transport.get_remote_server_key()
    return HostKey.from_blob(key.get_name(), key.asbytes())


def usable_types(known: KnownKeys) -> tuple[str, ...]:
    """Signature types to offer for the known keys, most preferred first; empty if none can be checked here."""
    wanted = {name for kind in known.types for name in (_RSA_SIGNATURES if kind == "ssh-rsa" else (kind,))}
    return tuple(name for name in _HOST_KEY_SIGNATURES if name in wanted)


class _NoCommonHostKey(Exception):
    """The server has none of the key types that are known of it."""


def _negotiate(resolved: ResolvedTarget, key_types: tuple[str, ...]) -> paramiko.Transport:
    timeout_s = resolved.target.connect_timeout_s
    with _closing_on_error(connected_socket(resolved)) as connection:
        transport = paramiko.Transport(connection)
    with _closing_on_error(transport):
        transport.banner_timeout = transport.handshake_timeout = transport.auth_timeout = timeout_s
        transport.channel_timeout = timeout_s
        transport.packetizer.REKEY_BYTES = transport.packetizer.REKEY_PACKETS = NEVER_REKEY
        options = transport.get_security_options()
        if key_types:
            options.key_types = key_types
        if resolved.target.prefer_gcm:
            options.ciphers = (*GCM_CIPHERS, *(name for name in options.ciphers if name not in GCM_CIPHERS))
        try:
            transport.start_client(timeout=timeout_s)
        except paramiko.ssh_exception.IncompatiblePeer as error:
            if key_types and "host key" in str(error):
                raise _NoCommonHostKey from None
            raise ConnectFailed(f"{resolved.where}: no common SSH algorithms: {clean_text(str(error))}; "
                                f"this server is too old or too strict for the lab's SSH client") from None
        except (paramiko.SSHException, OSError, EOFError) as error:
            raise ConnectFailed(f"{resolved.where}: {_no_ssh(error, timeout_s)}") from None
        if not transport.initial_kex_done:
            missing = "no key exchange" if transport.remote_version else "no SSH server spoke"
            raise ConnectFailed(f"{resolved.where}: the port is open, but {missing} within {timeout_s:g} s")
    return transport


def _no_ssh(error: BaseException, timeout_s: float) -> str:
    text = clean_text(str(error)) or type(error).__name__
    if "banner" in text:
        return f"the port is open, but no SSH server spoke within {timeout_s:g} s ({text})"
    return f"the SSH handshake failed: {text}"


@contextlib.contextmanager
def _closing_on_error(thing: _Closable) -> Iterator[_Closable]:
    try:
        yield thing
    except BaseException:
        thing.close()
        raise


def _unknown(resolved: ResolvedTarget, known: KnownKeys, key: HostKey) -> str:
    if known.revokes(key):
        return f"{resolved.where}: its {key.type} key {key.fingerprint} is marked as revoked; do not connect"
    return (f"{resolved.where}: its host key is not known here: {key.type} {key.fingerprint}. Compare that with "
            f"`ssh-keygen -lf /etc/ssh/ssh_host_{_file_part(key.type)}_key.pub` on the device, then accept it: "
            f"{_accept_command(resolved, key)}{_notes(known)}")


def _changed(resolved: ResolvedTarget, known: KnownKeys, key: HostKey) -> str:
    if known.revokes(key):
        return f"{resolved.where}: its {key.type} key {key.fingerprint} is marked as revoked; do not connect"
    olds = known.with_type(key.type) or tuple(entry for entry in known.keys if not entry.revoked)
    old = ", ".join(f"{entry.key.type} {entry.key.fingerprint} ({entry.path} line {entry.line})" for entry in olds)
    return (f"{resolved.where}: its host key has CHANGED. Expected {old}; got {key.type} {key.fingerprint}. "
            f"Someone may be in between, or the device was set up anew. If you know why it changed, accept the "
            f"new one: {_accept_command(resolved, key)}{_notes(known)}")


def _accept_command(resolved: ResolvedTarget, key: HostKey) -> str:
    return f"lab devices add NAME {resolved.target.url} --accept-key {key.fingerprint}"


def _notes(known: KnownKeys) -> str:
    return f" (not used: {'; '.join(known.notes)})" if known.notes else ""


def _file_part(kind: str) -> str:
    return "ecdsa" if kind.startswith("ecdsa") else kind.removeprefix("ssh-")
