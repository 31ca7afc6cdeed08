"""Text from devices and users made safe and short enough to show.

Everything that reaches a page goes through `clean`; `html_text` and `markdown_text` add the escaping their target
needs, so that a device name is never markup.
"""

from __future__ import annotations

import html
import re
import unicodedata

TEXT_LIMIT = 120
"""Longest name shown whole; failure texts ask for more."""

LONG_LIMIT = 2000
"""Longest text of an error or a failure shown."""

_TERMINAL_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\^_])")
_ISO_TIME = re.compile(r"(\d{4}-\d{2}-\d{2})T(\d{2}:\d{2}:\d{2})(?:\.\d+)?(?:Z|\+00:00)$")
_ASCII_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")


def clean(text: object, limit: int = TEXT_LIMIT) -> str:
    """The text on one line without terminal escapes, control or direction characters, at most `limit` long."""
    plain = _TERMINAL_ESCAPE.sub("", str(text)[: 4 * limit])
    spaced = " ".join(plain.split())
    # Category C holds control, format (direction overrides, zero width), surrogate and unassigned characters.
    visible = "".join(char for char in spaced if not unicodedata.category(char).startswith("C")).strip()
    return visible if len(visible) <= limit else visible[: limit - 1] + "…"


def html_text(text: object, limit: int = TEXT_LIMIT) -> str:
    """The cleaned text for an HTML element or a quoted attribute."""
    return html.escape(clean(text, limit), quote=True)


def markdown_text(text: object, limit: int = LONG_LIMIT) -> str:
    """The cleaned text for a Markdown element: lines are kept, punctuation never becomes markup."""
    lines = (clean(line, limit) for line in str(text)[: 4 * limit].splitlines())
    return "  \n".join(_ASCII_PUNCTUATION.sub(r"\\\1", line) for line in lines)


def when(utc: str | None) -> str:
    """An ISO time in UTC for people: to the second; a dash where there is none."""
    if not utc:
        return "–"
    found = _ISO_TIME.match(utc)
    return f"{found[1]} {found[2]} UTC" if found else clean(utc, 40)


def counted(number: int, noun: str) -> str:
    """`1 block`, `2 blocks`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
