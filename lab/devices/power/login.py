"""HTTP logins: Basic, and Digest (RFC 7616) with SHA-256, which plugs ask for and Python 3.11's urllib lacks."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from lab.domain.untrusted import clean_text

_HASHES: dict[str, Callable[[bytes], hashlib._Hash]] = {
    "MD5": lambda data: hashlib.md5(data, usedforsecurity=False),
    "SHA-256": hashlib.sha256,
}


@dataclass(frozen=True)
class Login:
    """A user's name and password; the password shows in no text."""

    user: str
    password: str

    def __repr__(self) -> str:
        return f"Login({self.user!r}, …)"


def authorization(challenge: str, url: str, login: Login) -> str:
    """The Authorization header of a GET that answers a WWW-Authenticate header.

    Raises ValueError saying what is not spoken here.
    """
    scheme, _, fields = challenge.partition(" ")
    if scheme.lower() == "basic":
        return "Basic " + base64.b64encode(f"{login.user}:{login.password}".encode()).decode()
    if scheme.lower() != "digest":
        raise ValueError(f"a Basic or Digest challenge, got {clean_text(scheme, 40)!r}")
    parts = urlsplit(url)
    path = parts.path or "/"
    return digest_answer(fields, login, method="GET", target=f"{path}?{parts.query}" if parts.query else path)


def digest_answer(challenge: str, login: Login, *, method: str, target: str, client_nonce: str | None = None) -> str:
    """The Authorization header for the fields of a challenge; `target` is path and query as sent.

    Raises ValueError saying which part of the challenge is not spoken here.
    """
    from urllib.request import parse_http_list, parse_keqv_list

    given = parse_keqv_list([field for field in parse_http_list(challenge[:4096]) if "=" in field])
    realm, nonce = given.get("realm", ""), given.get("nonce", "")
    name = given.get("algorithm", "MD5")
    if name.upper() not in _HASHES:
        raise ValueError(f"Digest with {' or '.join(_HASHES)}, got {clean_text(name, 40)!r}")
    offered = [part.strip() for part in given.get("qop", "").split(",") if part.strip()]
    if offered and "auth" not in offered:
        raise ValueError(f"Digest with protection auth, got {clean_text(', '.join(offered), 40)!r}")

    def hashed(text: str) -> str:
        return _HASHES[name.upper()](text.encode()).hexdigest()

    secret, request = hashed(f"{login.user}:{realm}:{login.password}"), hashed(f"{method}:{target}")
    fields = {"username": login.user, "realm": realm, "nonce": nonce, "uri": target}
    if "opaque" in given:
        fields["opaque"] = given["opaque"]
    tail = f", algorithm={name}" if "algorithm" in given else ""
    if offered:
        fields["cnonce"] = client_nonce or secrets.token_hex(16)
        fields["response"] = hashed(f"{secret}:{nonce}:00000001:{fields['cnonce']}:auth:{request}")
        tail += ", qop=auth, nc=00000001"
    else:
        fields["response"] = hashed(f"{secret}:{nonce}:{request}")
    return "Digest " + ", ".join(f'{key}="{_quoted(value)}"' for key, value in fields.items()) + tail


def _quoted(value: str) -> str:
    """A quoted string; a line break would end the header, so it may not stand in one."""
    if not value.isprintable():
        raise ValueError("a Digest challenge of printable text, got other characters")
    return value.replace("\\", "\\\\").replace('"', '\\"')
