"""Runs a user's program: an argument list, never a shell, with a deadline and a cap on what is read back."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from lab.errors import PowerControlError
from lab.transports.device_text import clean_tail

TIMEOUT_S = 30.0
OUTPUT_CAP_BYTES = 64 * 1024


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a program ended: exit status (negative for a signal), and the start of what it printed."""

    status: int
    output: str
    complaint: str


def call_program(argv: Sequence[str], *, stdin: bytes = b"", timeout_s: float = TIMEOUT_S) -> Ended:
    """Run it to its end. Raises OSError if it cannot be started, TimeoutError after killing it with its children.

    Its output goes to files: with pipes, a child left in the background would keep the lab waiting for their end.
    """
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as complaint:
        given.write(stdin)
        given.seek(0)
        try:
            process = subprocess.Popen(list(argv), stdin=given, stdout=output, stderr=complaint, process_group=0)
        except ValueError as error:
            raise OSError(str(error)) from None
        try:
            status = process.wait(timeout_s)
        except BaseException as error:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if isinstance(error, subprocess.TimeoutExpired):
                raise TimeoutError(f"it did not end within {timeout_s:g} s") from None
            raise
        output.seek(0)
        complaint.seek(0)
        return Ended(status=status, output=output.read(OUTPUT_CAP_BYTES).decode("utf-8", "replace"),
                     complaint=clean_tail(complaint.read(OUTPUT_CAP_BYTES), 200))


def switch_by_program(argv: Sequence[str], where: str, *, timeout_s: float = TIMEOUT_S) -> Ended:
    """As `call_program`, with every failure as PowerControlError."""
    try:
        ended = call_program(argv, timeout_s=timeout_s)
    except TimeoutError as error:
        raise PowerControlError(f"{where}: {argv[0]}: {error}; try it by hand", transient=True) from None
    except OSError as error:
        raise PowerControlError(f"{where}: {argv[0]} could not be started: {error.strerror or error}; install it on "
                                "the machine beside the device") from None
    if ended.status != 0:
        said = ended.complaint or clean_tail(ended.output.encode(), 200) or "nothing"
        raise PowerControlError(f"{where}: {argv[0]}: expected exit status 0, got {ended.status} and {said!r}; try "
                                "it by hand", transient=True)
    return ended
