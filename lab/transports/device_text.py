"""Bytes that a device printed, made safe to show: see `lab.domain.untrusted.clean_text`."""

from __future__ import annotations

from lab.domain.untrusted import TEXT_CAP, clean_text


def clean_bytes(raw: bytes, cap: int = TEXT_CAP) -> str:
    """The first characters as one printable line."""
    return clean_text(raw[:16 * cap].decode("utf-8", "replace"), cap)


def clean_tail(raw: bytes, cap: int = TEXT_CAP) -> str:
    """The last characters as one printable line: why a command failed stands at the end of what it printed."""
    line = clean_text(raw[-4 * cap:].decode("utf-8", "replace"), 4 * cap)
    return line if len(line) <= cap else "…" + line[1 - cap:]
