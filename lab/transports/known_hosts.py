"""Host keys: the lab's own pin file, the user's known_hosts read line by line, and what a presented key means.

Neither file is ever rewritten; a pin is appended. In the pin file a later key of the same type replaces an earlier
one for that host, so that an accepted change needs no editing.
"""

from __future__ import annotations

import base64
import binascii
import fnmatch
import hashlib
import hmac
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.errors import StoreError

DEFAULT_PORT = 22


@dataclass(frozen=True)
class HostKey:
    """One public host key."""

    type: str
    base64: str
    fingerprint: str

    @classmethod
    def from_blob(cls, kind: str, blob: bytes) -> HostKey:
        """The key with OpenSSH's SHA256 fingerprint of its wire form."""
        digest = base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
        return cls(kind, base64.b64encode(blob).decode(), f"SHA256:{digest}")


@dataclass(frozen=True)
class KnownKey:
    """A line that applies to one host: `revoked` keys must never be accepted."""

    key: HostKey
    path: Path
    line: int
    revoked: bool = False


@dataclass(frozen=True)
class KnownKeys:
    """All that is known about one host; `notes` says which lines could not be used."""

    keys: tuple[KnownKey, ...]
    notes: tuple[str, ...]

    @property
    def types(self) -> tuple[str, ...]:
        """Types of the keys that may be accepted, in the order of the files."""
        return tuple(dict.fromkeys(known.key.type for known in self.keys if not known.revoked))

    def accepts(self, key: HostKey) -> bool:
        """Whether this very key is known and not revoked."""
        same = [known for known in self.keys if known.key.base64 == key.base64]
        return bool(same) and not any(known.revoked for known in same)

    def revokes(self, key: HostKey) -> bool:
        """Whether a line marks this key as revoked."""
        return any(known.revoked and known.key.base64 == key.base64 for known in self.keys)

    def with_type(self, kind: str) -> tuple[KnownKey, ...]:
        """Known keys of that type."""
        return tuple(known for known in self.keys if known.key.type == kind and not known.revoked)


def host_label(host: str, port: int) -> str:
    """The name a host's key is filed under."""
    return host if port == DEFAULT_PORT else f"[{host}]:{port}"


def known_keys(pin_file: Path, user_file: Path | None, label: str) -> KnownKeys:
    """What both files say about the host of this label; missing files say nothing."""
    label = label.lower()
    notes: list[str] = []
    pinned: dict[str, KnownKey] = {}
    for known in _matching(pin_file, label, notes):
        pinned[known.key.type] = known
    others = _matching(user_file.expanduser(), label, notes) if user_file else []
    return KnownKeys((*pinned.values(), *others), tuple(notes))


def pin(path: Path, host: str, port: int, key: HostKey) -> None:
    """Append this key to the pin file (0600), unless it is the host's current pin already; raises StoreError."""
    pin_label(path, host_label(host, port), key)


def pin_label(path: Path, label: str, key: HostKey) -> None:
    """See `pin`; the host is named by its label."""
    label = label.lower()
    if not label or any(char.isspace() or char in ",*?!|@#" for char in label):
        raise StoreError(f"host key pin: {label!r} cannot be a host name in {path}")
    if any(known.key == key for known in known_keys(path, None, label).keys):
        return
    line = f"{label} {key.type} {key.base64}\n".encode()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
        try:
            os.fchmod(file, 0o600)
            os.write(file, line)
            os.fsync(file)
        finally:
            os.close(file)
    except OSError as error:
        raise StoreError(f"host key pin: {path} cannot be written: {error.strerror}") from None


def _matching(path: Path, label: str, notes: list[str]) -> list[KnownKey]:
    try:
        lines = path.read_bytes().decode("utf-8", "replace").splitlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        notes.append(f"{path} could not be read: {error.strerror}")
        return []
    found = []
    for number, line in enumerate(lines, 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        known = _parse(words, path, number, label, notes)
        if known:
            found.append(known)
    return found


def _parse(words: Sequence[str], path: Path, number: int, label: str, notes: list[str]) -> KnownKey | None:
    """The line's key if it applies to this host, else None; a line that applies but is no use leaves a note."""
    marker = words[0] if words[0].startswith("@") else ""
    fields = words[1:] if marker else words
    if len(fields) < 3:
        notes.append(f"{path} line {number} is not a host key")
        return None
    if not _applies(fields[0], label):
        return None
    if marker not in ("", "@revoked"):
        notes.append(f"{path} line {number}: {marker} is not supported")
        return None
    try:
        blob = base64.b64decode(fields[2], validate=True)
    except (binascii.Error, ValueError):
        blob = b""
    name = fields[1].encode()
    if not blob.startswith(len(name).to_bytes(4, "big") + name):
        notes.append(f"{path} line {number} holds no {fields[1]} key")
        return None
    return KnownKey(HostKey.from_blob(fields[1], blob), path, number, revoked=marker == "@revoked")


def _applies(hosts: str, label: str) -> bool:
    if hosts.startswith("|1|"):
        return _hash_matches(hosts, label)
    return _patterns_match(hosts.lower().split(","), label)


def _patterns_match(patterns: Iterable[str], label: str) -> bool:
    matched = False
    for pattern in patterns:
        negated = pattern.startswith("!")
        glob = pattern.lstrip("!").replace("[", "[[]")  # brackets are part of `[host]:port`, not a character set
        if fnmatch.fnmatchcase(label, glob):
            if negated:
                return False
            matched = True
    return matched


def _hash_matches(hashed: str, label: str) -> bool:
    try:
        _, _, salt, digest = hashed.split("|")
        expected = base64.b64decode(digest)
        key = base64.b64decode(salt)
    except (ValueError, binascii.Error):
        return False
    return hmac.compare_digest(hmac.new(key, label.encode(), "sha1").digest(), expected)
