"""Keeps libraries that print, log and warn about themselves away from what the lab shows its users."""

from __future__ import annotations

import contextlib
import io
import logging
import sys
import threading
import warnings
from collections.abc import Iterator
from typing import TextIO

_LOGGERS = ("torch.onnx", "torch.export", "torch.fx", "torch._dynamo", "onnxscript", "onnx_ir",
            "onnxruntime.quantization")


class _MutedThread(io.TextIOBase):
    """A stream that drops what one thread writes and passes on the rest, such as another thread's progress bar."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._thread = threading.get_ident()

    def write(self, text: str) -> int:
        if threading.get_ident() == self._thread:
            return len(text)
        return self._stream.write(text)

    def flush(self) -> None:
        self._stream.flush()

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()


@contextlib.contextmanager
def quiet_libraries() -> Iterator[None]:
    """Inside, their warnings, log lines below CRITICAL and prints of this thread are dropped; exceptions are not."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    with (warnings.catch_warnings(), contextlib.redirect_stdout(_MutedThread(sys.stdout)),
          contextlib.redirect_stderr(_MutedThread(sys.stderr))):
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
