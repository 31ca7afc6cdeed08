"""Tells somebody that a campaign ended or a device was set aside: through their own command, a webhook, or both."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from lab.devices.power.programs import call_program
from lab.devices.power.web import send
from lab.domain.untrusted import clean_text
from lab.transports.device_text import clean_bytes

EVENTS = frozenset({"done", "partial", "failed", "quarantined"})
"""What is worth a message; other events are passed over in silence."""

COMMAND_VARIABLE = "LAB_NOTIFY_COMMAND"
URL_VARIABLE = "LAB_NOTIFY_URL"
TIMEOUT_S = 20.0


@dataclass(frozen=True, kw_only=True)
class NotifySettings:
    """Where messages go, as the environment says it; `""` is nowhere. Either may hold a secret and is never shown."""

    command: str = ""
    url: str = ""
    timeout_s: float = TIMEOUT_S

    def __repr__(self) -> str:
        return f"NotifySettings(command={bool(self.command)}, url={bool(self.url)})"


def settings_from_env(environ: Mapping[str, str]) -> NotifySettings | None:
    """LAB_NOTIFY_COMMAND and LAB_NOTIFY_URL, unchecked: a wrong one must not keep a campaign from ending."""
    command, url = (environ.get(name, "").strip() for name in (COMMAND_VARIABLE, URL_VARIABLE))
    return NotifySettings(command=command, url=url) if command or url else None


def notify(settings: NotifySettings, event: Mapping[str, object]) -> str | None:
    """Send one event; returns why it could not be delivered, or None. Never raises.

    `event` is plain JSON with one of EVENTS under `event`. The command gets it on standard input, the webhook as a
    POST; `text` is added, one line for people, under the key that chat services read.
    """
    if event.get("event") not in EVENTS:
        return None
    try:
        body = json.dumps({"text": event_text(event), **event}, ensure_ascii=True).encode()
    except (TypeError, ValueError, RecursionError) as error:
        return f"notify: expected an event of plain JSON, got {clean_text(str(error), 120)}; nothing was sent"
    problems = (_by_command(settings, body), _by_webhook(settings, body))
    return " ".join(problem for problem in problems if problem) or None


def event_text(event: Mapping[str, object]) -> str:
    """For example `Campaign sweep: partial. 1 of 8 cells have no result`."""
    name = event.get("campaign") or event.get("campaign_id") or "?"
    reason = event.get("reason")
    return clean_text(f"Campaign {name}: {event.get('event')}." + (f" {reason}" if reason else ""), 1_000)


def _by_command(settings: NotifySettings, body: bytes) -> str | None:
    if not settings.command:
        return None
    try:
        argv = shlex.split(settings.command)
    except ValueError:
        argv = []
    if not argv:
        return f"{COMMAND_VARIABLE}: expected a command with paired quotes; nobody was told. Correct the variable."
    program = clean_text(argv[0], 80)  # the arguments may hold a secret
    try:
        ended = call_program(argv, stdin=body, timeout_s=settings.timeout_s)
    except OSError as error:
        return (f"{COMMAND_VARIABLE}: {program} failed: {error.strerror or error}; nobody was told. "
                "Try the command by hand.")
    if ended.status == 0:
        return None
    said = f" and {ended.complaint!r}" if ended.complaint else ""
    return (f"{COMMAND_VARIABLE}: {program}: expected exit status 0, got {ended.status}{said}. "
            "Try the command by hand.")


def _by_webhook(settings: NotifySettings, body: bytes) -> str | None:
    if not settings.url:
        return None
    place = _place(settings.url)
    if place is None:
        return f"{URL_VARIABLE}: expected an http or https address; nobody was told. Correct the variable."
    try:
        reply = send(settings.url, body=body, headers={"Content-Type": "application/json"},
                     timeout_s=settings.timeout_s, through_proxy=True)
    except (OSError, ValueError) as error:
        said = error.strerror or str(error) if isinstance(error, OSError) else "the address cannot be used"
        return f"{URL_VARIABLE}: no answer from {place}: {clean_text(said, 120)}. Check the address and the network."
    if 200 <= reply.status < 300:
        return None
    said = clean_bytes(reply.body, 120)
    return (f"{URL_VARIABLE}: {place}: expected HTTP status 200, got {reply.status}{f' and {said!r}' if said else ''}. "
            "Check the address; redirects are not followed.")


def _place(url: str) -> str | None:
    """Scheme and host: the rest of a webhook's address is its password."""
    try:
        parts = urlsplit(url)
        is_usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        return None
    return f"{parts.scheme}://{clean_text(parts.hostname or '', 80)}" if is_usable and url.isascii() else None
