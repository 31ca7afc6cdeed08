"""Where the lab calls code a user wrote: what goes wrong there is told in the user's own lines."""

from __future__ import annotations

import contextlib
import sys
import traceback
from pathlib import Path
from types import TracebackType
from typing import TextIO

from lab.errors import LabError, WorkloadError

FRAMES_SHOWN = 6


class UserCode(contextlib.AbstractContextManager[None]):
    """Turns any exception of the user's code, and its `sys.exit`, into a WorkloadError that says `what` failed.

    Ctrl-C and the lab's own errors pass through. What the code prints goes to stderr, so that it cannot mix with
    output that a program reads.
    """

    def __init__(self, what: str, path: Path | None = None) -> None:
        self._what = what
        self._path = path
        self._redirect: contextlib.redirect_stdout[TextIO] | None = None

    def __enter__(self) -> None:
        self._redirect = contextlib.redirect_stdout(sys.stderr)
        self._redirect.__enter__()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        if self._redirect is not None:
            self._redirect.__exit__(kind, error, trace)
        if isinstance(error, (Exception, SystemExit)) and not isinstance(error, LabError):
            raise WorkloadError(f"{self._what}:\n{traceback_tail(error, self._path)}") from error


def traceback_tail(error: BaseException, path: Path | None) -> str:
    """The end of a traceback, from the first frame in the file at `path` on, indented."""
    told = traceback.TracebackException.from_exception(error)
    frames = list(told.stack)
    if path is not None:
        own = [index for index, frame in enumerate(frames) if frame.filename == str(path)]
        frames = frames[own[0]:] if own else []
    lines = traceback.format_list(frames[-FRAMES_SHOWN:]) + list(told.format_exception_only())
    text = "".join(lines).rstrip()
    return "\n".join("    " + line for line in text.splitlines())
