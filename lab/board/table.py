"""Builds HTML tables; every cell is escaped here or by the caller's own use of `words.html_text`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lab.domain.flags import FLAG_CODES, Flag

from .words import LONG_LIMIT, html_text

_CODE = re.compile(r"`([^`]+)`")


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One table cell: `html` is trusted markup built by the board; `key` marks it for readers of the page."""

    html: str
    css: str = ""
    key: str = ""
    title: str = ""


@dataclass(frozen=True, kw_only=True)
class Line:
    """One table row; `css` dims or marks it."""

    cells: Sequence[Cell]
    css: str = ""


def table(heads: Sequence[Cell], lines: Iterable[Line], *, caption: str) -> str:
    """The table with its caption (plain text, `code` in backticks), in a box that scrolls on a narrow page."""
    said = _CODE.sub(r"<code>\1</code>", html_text(caption, LONG_LIMIT))
    head = "".join(f'<th scope="col"{_attributes(cell)}>{cell.html}</th>' for cell in heads)
    body = "".join(
        f'<tr class="{line.css}">' + "".join(
            f'<th scope="row"{_attributes(cell)}>{cell.html}</th>' if index == 0
            else f"<td{_attributes(cell)}>{cell.html}</td>"
            for index, cell in enumerate(line.cells)) + "</tr>"
        for line in lines)
    return (f'<div class="jl-scroll"><table class="jl"><caption>{said}</caption>'
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>")


def text_cell(text: object, *, css: str = "name", limit: int = 120, key: str = "") -> Cell:
    """A cell of untrusted text; what was cut stays readable in the title."""
    return Cell(html=html_text(text, limit), css=css, key=key,
                title=html_text(text, LONG_LIMIT) if len(str(text)) > limit else "")


def chip(kind: str, text: object, title: str = "") -> str:
    """A short label in one of the style sheet's kinds; `title` says more on hover and is plain text."""
    more = f' title="{html_text(title, LONG_LIMIT)}"' if title else ""
    return f'<span class="jl-chip {kind}"{more}>{html_text(text)}</span>'


def sub(text: object, limit: int = 300) -> str:
    """A smaller second line in a cell."""
    return f'<span class="sub">{html_text(text, limit)}</span>'


def flag_chips(flags: Iterable[Flag]) -> str:
    """One chip per flag; what was seen stands beneath those that take something away from the number."""
    parts = []
    for flag in flags:
        meaning = FLAG_CODES.get(flag.code, "")
        detail = flag.detail if flag.detail != meaning else ""
        parts.append(chip(_kind(flag), flag.code.replace("_", " "), f"{meaning} {detail}".strip()))
        if detail and flag.severity != "info":
            parts.append(sub(detail))
    return "".join(parts)


def flag_words(flags: Iterable[Flag]) -> str:
    """A paragraph per flag that says in one sentence what it means; empty without flags."""
    codes = sorted({flag.code for flag in flags})
    return "".join(f'<p class="jl-words"><b>{html_text(code.replace("_", " "))}</b>: '
                   f"{html_text(FLAG_CODES.get(code, 'A flag this version has no words for.'))}</p>"
                   for code in codes)


def _kind(flag: Flag) -> str:
    if flag.code == "simulated_power":
        return "simulated"
    return flag.severity.value


def _attributes(cell: Cell) -> str:
    found = {"class": cell.css, "data-key": cell.key, "title": cell.title}
    return "".join(f' {name}="{value}"' for name, value in found.items() if value)
