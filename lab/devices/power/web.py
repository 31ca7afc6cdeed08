"""Small HTTP requests to smart plugs and webhooks: http or https, a deadline, a cap on the answer, no redirects."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from lab.domain.untrusted import clean_text
from lab.errors import PowerControlError
from lab.transports.device_text import clean_bytes

from .login import Login, authorization

if TYPE_CHECKING:
    from http.client import HTTPResponse
    from urllib.request import OpenerDirector

TIMEOUT_S = 10.0
ANSWER_CAP_BYTES = 64 * 1024


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What a server answered; `challenge` is its WWW-Authenticate header."""

    status: int
    body: bytes
    challenge: str = ""


def send(url: str, *, body: bytes | None = None, headers: dict[str, str] | None = None,
         timeout_s: float = TIMEOUT_S, through_proxy: bool = False) -> Reply:
    """GET, or POST a body. Raises ValueError for a URL that is not http or https, OSError if there is no whole answer.

    A redirect is an answer like any other: following one would carry a password to wherever it points.
    """
    import http.client
    import urllib.error
    import urllib.request

    if urlsplit(url).scheme not in ("http", "https"):
        raise ValueError("the address is neither http nor https")
    request = urllib.request.Request(url, data=body, headers=headers or {})  # noqa: S310 checked above
    deadline = time.monotonic() + timeout_s
    try:
        with _opener(through_proxy=through_proxy).open(request, timeout=timeout_s) as response:
            return _reply(response, deadline)
    except urllib.error.URLError as error:
        raise error.reason if isinstance(error.reason, OSError) else OSError(str(error.reason)) from None
    except http.client.HTTPException as error:
        raise OSError(f"no HTTP answer ({type(error).__name__})") from None


def get_json(url: str, where: str, login: Login | None = None, *, is_password_in_url: bool = False,
             timeout_s: float = TIMEOUT_S) -> dict[str, Any]:
    """The JSON object at this address; raises PowerControlError. A login is sent once the server asks for it."""
    reply = _ask(url, where, {}, timeout_s)
    if reply.status == 401 and login is not None:
        try:
            answer = authorization(reply.challenge, url, login)
        except ValueError as error:
            raise PowerControlError(f"{where}: the switch asks for its password in a way that is not spoken here: "
                                    f"expected {error}; use power kind `command`") from None
        reply = _ask(url, where, {"Authorization": answer}, timeout_s)
    if reply.status == 401:
        raise password_error(where, has_password=is_password_in_url or login is not None)
    if reply.status != 200:
        raise PowerControlError(f"{where}: expected HTTP status 200, got {reply.status}"
                                f"{_shown(reply.body)}; check the address and the number of the output",
                                transient=reply.status in (502, 503, 504))
    try:
        told = json.loads(reply.body)
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        raise PowerControlError(f"{where}: expected a JSON object{_shown(reply.body) or ', got nothing'}; check "
                                "that the address is that of the switch")
    return told


def password_error(where: str, *, has_password: bool) -> PowerControlError:
    """What to say when a switch turns the lab away."""
    if has_password:
        return PowerControlError(f"{where}: the switch refused the password; correct the environment variable that "
                                 "`password_env` names")
    return PowerControlError(f"{where}: the switch wants a password; put it in an environment variable and name that "
                             "in `password_env`")


def _ask(url: str, where: str, headers: dict[str, str], timeout_s: float) -> Reply:
    try:
        return send(url, headers=headers, timeout_s=timeout_s)
    except (OSError, ValueError) as error:
        said = clean_text(getattr(error, "strerror", None) or str(error), 120)
        raise PowerControlError(f"{where}: expected an answer within {timeout_s:g} s, got none ({said}); check that "
                                "the switch has power and network", transient=True) from None


def _opener(*, through_proxy: bool) -> OpenerDirector:
    """Opens http and https and nothing else, hands every status back instead of raising, follows nothing."""
    import urllib.request

    opener = urllib.request.OpenerDirector()
    if through_proxy:
        opener.add_handler(urllib.request.ProxyHandler())
    opener.add_handler(urllib.request.HTTPHandler())
    opener.add_handler(urllib.request.HTTPSHandler())
    opener.add_handler(urllib.request.UnknownHandler())  # a proxy of a kind that urllib lacks is an error too
    return opener


def _reply(response: HTTPResponse, deadline: float) -> Reply:
    """The whole answer, unless it is too large, comes too slowly or breaks off.

    Ends at the stated length: some plugs keep the connection open although they were asked to close it.
    """
    body, size_bytes = b"", response.length
    while (size_bytes is None or len(body) < size_bytes) and (chunk := response.read1(ANSWER_CAP_BYTES)):
        body += chunk
        if len(body) > ANSWER_CAP_BYTES:
            raise OSError(f"the answer is larger than {ANSWER_CAP_BYTES} bytes")
        if time.monotonic() > deadline:
            raise OSError("the answer did not end in time")
    if size_bytes is not None and len(body) < size_bytes:
        raise OSError("the answer broke off")
    return Reply(status=response.status, body=body, challenge=response.headers.get("WWW-Authenticate") or "")


def _shown(body: bytes) -> str:
    text = clean_bytes(body, 120)
    return f", got {text!r}" if text else ""
