"""What an agent's ERR means to the lab: each code becomes one of its exceptions."""

from __future__ import annotations

from agents.wire.messages import Header
from lab.domain.untrusted import clean_text
from lab.errors import AgentError, DeviceBusy, RequestFailed

MAX_TEXT = 400


def error_from(header: Header, where: str, op: str) -> AgentError:
    """The exception for an ERR answer; tolerant of missing fields, for an error must not hide behind another."""
    code = clean_text(str(header.get("code", "failed")), 60) or "failed"
    message = clean_text(str(header.get("message", "")), MAX_TEXT) or "the agent gave no reason"
    if code == "held":
        return DeviceBusy(f"{where} is in use by {_owner(header)}{_expiry(header)}; wait, or ask them to release it")
    error = RequestFailed(f"{where}: {op} failed ({code}): {message}", code=code)
    error.transient = header.get("retryable") is True
    return error


def _owner(header: Header) -> str:
    return clean_text(str(header.get("owner", "")), 120) or "an unnamed holder"


def _expiry(header: Header) -> str:
    expires_s = header.get("expires_in_s")
    if isinstance(expires_s, bool) or not isinstance(expires_s, int | float) or not 0 <= expires_s < 1e9:
        return ""
    return f", whose lease ends in {expires_s:.0f} s at the latest"
