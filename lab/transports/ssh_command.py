"""A user's command on an SSH device, to its end: its exit status, or the news that the device went away meanwhile."""

from __future__ import annotations

import time

from lab.errors import ConnectionLost, TransportTimeout

from .base import CommandEnd
from .deadlines import deadline_after, remaining_s
from .device_text import clean_tail
from .ssh_channel import ChannelStream

ANSWER_S = 3.0
"""How long a device may take to answer before it counts as gone."""

_PRINTED_KEPT_BYTES = 4096
_LOOK_S = 0.5


def run_to_end(stream: ChannelStream, where: str, timeout_s: float, *, gone_within_s: float = 0.0,
               answer_s: float = ANSWER_S) -> CommandEnd:
    """See RunsCommands; takes the stream over and closes it.

    A reboot may take the link down without a word, so a command that does not end is one that hangs only if the
    device answers.
    """
    printed = bytearray()
    try:
        status = _status(stream, printed, deadline_after(timeout_s))
    except ConnectionLost:
        status = None
    except TransportTimeout:
        if stream.is_answered(answer_s):
            stream.close()
            raise TransportTimeout(f"{where}: the command did not end within {timeout_s:g} s; does it wait for a "
                                   f"password? it printed {_said(stream, printed)!r}") from None
        status = None
    try:
        is_gone = _goes_away(stream, deadline_after(0.0 if status else gone_within_s), answer_s)
        return CommandEnd(status=status, printed=_said(stream, printed), is_gone=is_gone)
    finally:
        stream.close()


def _status(stream: ChannelStream, printed: bytearray, deadline_ns: int) -> int | None:
    buffer = bytearray(_PRINTED_KEPT_BYTES)
    stream.end_input()
    while size := stream.recv_into(memoryview(buffer), deadline_ns):
        printed += buffer[:size]
        del printed[:-_PRINTED_KEPT_BYTES]
    return stream.exit_status(deadline_ns)


def _goes_away(stream: ChannelStream, deadline_ns: int, answer_s: float) -> bool:
    while stream.is_answered(answer_s):
        left_s = remaining_s(deadline_ns)
        if left_s == 0:
            return False
        time.sleep(min(_LOOK_S, left_s))
    return True


def _said(stream: ChannelStream, printed: bytearray) -> str:
    return stream.complaint() or clean_tail(bytes(printed))
