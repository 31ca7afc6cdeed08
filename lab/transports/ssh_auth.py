"""Logging in: named key files first, then the ssh-agent's keys, then the usual files; never a password."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import paramiko
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from lab.domain.untrusted import clean_text
from lab.errors import AuthFailed, ConnectFailed, TransportTimeout

from .ssh_target import ResolvedTarget


@dataclass(frozen=True)
class Identity:
    """A key to try, or the reason why it cannot be tried."""

    label: str
    key: paramiko.PKey | None = None
    problem: str | None = None


def log_in(transport: paramiko.Transport, resolved: ResolvedTarget) -> None:
    """Authenticate the connection; raises AuthFailed naming the user and every key tried, or TransportTimeout."""
    try:
        refusal = _attempt(transport, lambda: transport.auth_none(resolved.user), resolved)
        if refusal is None:  # a board without any login protection
            return
        allowed = getattr(refusal, "allowed_types", ["publickey"])
        if "publickey" not in allowed:
            raise AuthFailed(f"{resolved.where}: the server takes only {', '.join(map(clean_text, allowed))}, "
                             f"the lab logs in with a key; allow PubkeyAuthentication there")
        with contextlib.ExitStack() as stack:
            _try_keys(transport, resolved, _identities(resolved, stack))
    except (EOFError, OSError) as error:
        raise ConnectFailed(f"{resolved.where}: the link ended during login: {clean_text(str(error))}") from None


def load_identity(path: Path, *, named: bool) -> Identity | None:
    """The key in a file; a missing file is None unless the user `named` it."""
    path = path.expanduser()
    try:
        return Identity(str(path), _load(path))
    except FileNotFoundError:
        return Identity(str(path), problem="no such file") if named else None
    except (paramiko.PasswordRequiredException, TypeError):
        return Identity(str(path), problem="it has a passphrase: add it to ssh-agent with ssh-add")
    except OSError as error:
        return Identity(str(path), problem=error.strerror or str(error))
    except (paramiko.SSHException, paramiko.pkey.UnknownKeyType, ValueError) as error:
        return Identity(str(path), problem=f"no usable private key: {clean_text(str(error), 120)}")


def _load(path: Path) -> paramiko.PKey:
    try:
        return paramiko.PKey.from_path(path)
    except paramiko.PasswordRequiredException:
        raise
    except paramiko.SSHException:
        return _load_as_pem(path)


def _load_as_pem(path: Path) -> paramiko.PKey:
    """paramiko 5.1 loses every OpenSSH key whose comment is empty and whose length happens to need no padding."""
    key = serialization.load_ssh_private_key(path.read_bytes(), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise paramiko.SSHException("kind of key not supported")
    kind = paramiko.RSAKey if isinstance(key, rsa.RSAPrivateKey) else paramiko.ECDSAKey
    form = serialization.PrivateFormat.TraditionalOpenSSL
    pem = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    return kind.from_private_key(io.StringIO(pem.decode()))


def _identities(resolved: ResolvedTarget, stack: contextlib.ExitStack) -> Iterator[Identity]:
    for path in resolved.identity_files:
        if named := load_identity(path, named=True):
            yield named
    if resolved.identities_only and resolved.identity_files:
        return
    if resolved.target.use_agent:
        yield from _agent_identities(stack)
    for path in resolved.target.default_keys:
        if usual := load_identity(path, named=False):
            yield usual


def _agent_identities(stack: contextlib.ExitStack) -> Iterator[Identity]:
    try:
        agent = paramiko.Agent()
    except paramiko.SSHException as error:
        yield Identity("ssh-agent", problem=clean_text(str(error), 120))
        return
    stack.callback(agent.close)
    for key in agent.get_keys():
        yield Identity(f"ssh-agent {clean_text(key.comment, 80) or key.get_name()}", key)


def _try_keys(transport: paramiko.Transport, resolved: ResolvedTarget, identities: Iterable[Identity]) -> None:
    tried: list[str] = []
    skipped: list[str] = []
    seen: set[bytes] = set()
    for identity in identities:
        key = identity.key
        if key is None:
            skipped.append(f"{identity.label} ({identity.problem})")
            continue
        if key.asbytes() in seen:
            continue
        seen.add(key.asbytes())
        if _attempt(transport, partial(transport.auth_publickey, resolved.user, key), resolved) is None:
            return
        tried.append(f"{identity.label} ({key.get_name()})")
        if not transport.is_active():
            skipped.append("the rest (the server closed the connection after too many keys; name the right one)")
            break
    raise AuthFailed(_refusal_text(resolved, tried, skipped))


def _attempt(
    transport: paramiko.Transport, authenticate: Callable[[], list[str]], resolved: ResolvedTarget,
) -> paramiko.SSHException | None:
    """None if the server let us in, else its refusal; raises TransportTimeout if it did not answer."""
    try:
        more = authenticate()
    except paramiko.AuthenticationException as error:
        if "timeout" in str(error).lower():
            raise TransportTimeout(
                f"{resolved.where}: no answer to the login within {transport.auth_timeout:g} s"
            ) from None
        return error
    except paramiko.SSHException as error:
        return error
    if more:
        raise AuthFailed(f"{resolved.where}: the server also wants {', '.join(map(clean_text, more))} "
                         f"after the key, which the lab cannot give")
    return None


def _refusal_text(resolved: ResolvedTarget, tried: list[str], skipped: list[str]) -> str:
    parts = [f"{resolved.where}: the server refused user {resolved.user!r}"]
    parts.append(f"tried {', '.join(tried)}" if tried else "no key to try")
    if skipped:
        parts.append(f"not tried: {', '.join(skipped)}")
    parts.extend(resolved.notes)
    parts.append(f"add the public key to ~{resolved.user}/.ssh/authorized_keys there or name another key")
    return "; ".join(parts)
