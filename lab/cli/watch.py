"""Turns a campaign's events into progress bars on a terminal, and into plain lines elsewhere; notes stay readable."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lab.workloads import NOTE

if TYPE_CHECKING:
    from lab.campaigns.base import ProgressEvent

_TITLES = {"prepare": "prepare", "compress": "compress", "connect": "connect", "upload": "upload",
           "measure": "measure", "analyse": "analyse"}
_PLAIN_EVERY_S = 5.0


@contextmanager
def watching(*, quiet: bool = False) -> Iterator[Callable[[ProgressEvent], None]]:
    """A listener for the time of the `with`; `quiet` (JSON output) writes nothing at all."""
    if quiet:
        yield lambda _event: None
    elif sys.stderr.isatty():
        with _bars() as listener:
            yield listener
    else:
        yield _plain_lines()


@contextmanager
def _bars() -> Iterator[Callable[[ProgressEvent], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.fields[stage]:<9}"), TextColumn("{task.description}"),
               BarColumn(bar_width=28), TextColumn("{task.fields[note]}"), TimeElapsedColumn())
    rows: dict[tuple[str, str], TaskID] = {}
    # One redraw a second: a livelier spinner would be load on the machine that local devices measure.
    with Progress(*columns, console=Console(stderr=True), transient=True, refresh_per_second=1) as progress:
        def listen(event: ProgressEvent) -> None:
            if event.text.startswith(NOTE):
                progress.console.print(_line(event), highlight=False, markup=False, soft_wrap=True)
                return
            key = (event.stage, event.subject)
            if key not in rows:
                rows[key] = progress.add_task(event.subject, total=1.0, stage=_TITLES[event.stage], note="")
            progress.update(rows[key], note=event.text[:60], completed=event.fraction)

        yield listen


def _plain_lines() -> Callable[[ProgressEvent], None]:
    """Prints notes and changes of stage or subject, and otherwise at most every few seconds."""
    last: dict[str, tuple[str, str] | float | None] = {"key": None, "at": 0.0}

    def listen(event: ProgressEvent) -> None:
        key, now = (event.stage, event.subject), time.monotonic()
        at = last["at"]
        is_note = event.text.startswith(NOTE)
        if not is_note and key == last["key"] and isinstance(at, float) and now - at < _PLAIN_EVERY_S:
            return
        last["key"], last["at"] = key, now
        print(_line(event), file=sys.stderr, flush=True)

    return listen


def _line(event: ProgressEvent) -> str:
    return f"{_TITLES[event.stage]:<9} {event.subject}: {event.text}"
