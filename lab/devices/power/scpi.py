"""A bench supply that speaks SCPI over a TCP socket (port 5025 on most)."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import ClassVar

from lab.errors import PowerControlError
from lab.transports.device_text import clean_bytes

from .base import check_state, cycle_power
from .settings import SwitchSettings

TIMEOUT_S = 10.0
ANSWER_CAP_BYTES = 256
LINGER_S = 0.5
"""How long a supply that answers nothing gets to read its command."""

_HOST = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,252}|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*")
_STATES = {"1": True, "ON": True, "0": False, "OFF": False}


@dataclass(frozen=True, kw_only=True)
class ScpiCommands:
    """SCPI-99 OUTPut as most supplies have it; those with several channels want `OUTP CH1,ON` or the like."""

    on: str = "OUTP ON"
    off: str = "OUTP OFF"
    query: str = "OUTP?"


class ScpiSwitch:
    """The output of a bench supply. Sources: SCPI-99 volume 2, OUTPut subsystem; IEEE 488.2 for the line ends.

    A new connection each time: many supplies have one place only, and would keep a person's program out.
    """

    REQUIRED: ClassVar[dict[str, str]] = {"host": "name or address of the supply"}
    OPTIONAL: ClassVar[dict[str, str]] = {
        "port": "TCP port, 5025 if left out", "on": "command, OUTP ON if left out",
        "off": "command, OUTP OFF if left out", "query": "question, OUTP? if left out; none if it cannot be asked"}

    def __init__(self, host: str, port: int, commands: ScpiCommands, sleep: Callable[[float], None], *,
                 timeout_s: float = TIMEOUT_S) -> None:
        self._host = host
        self._port = port
        self._commands = commands
        self._sleep = sleep
        self._timeout_s = timeout_s

    @classmethod
    def from_settings(cls, settings: SwitchSettings, sleep: Callable[[float], None]) -> ScpiSwitch:
        """Raises ConfigError."""
        host = settings.text("host")
        if not _HOST.fullmatch(host):
            raise settings.wrong("host", "a host name or address without port", host)
        texts = {key: settings.text(key, default) for key, default in vars(ScpiCommands()).items()}
        for key, text in texts.items():
            if not text or not text.isascii():
                raise settings.wrong(key, "an SCPI command", text)
        return cls(host, settings.whole("port", 5025, 1, 65535), ScpiCommands(**texts), sleep)

    @property
    def where(self) -> str:
        """See PowerSwitch."""
        return f"supply {self._host} port {self._port}"

    def off(self) -> None:
        """See PowerSwitch."""
        check_state(self.where, False, self._say(self._commands.off))

    def on(self) -> None:
        """See PowerSwitch."""
        check_state(self.where, True, self._say(self._commands.on))

    def state(self) -> bool | None:
        """See PowerSwitch."""
        return self._say("")

    def cycle(self, off_s: float) -> None:
        """See PowerSwitch."""
        cycle_power(self, off_s, self._sleep)

    def _say(self, command: str) -> bool | None:
        """Send a command and ask for the state behind it, in one connection, so that the answer is from after it."""
        query = None if self._commands.query.lower() == "none" else self._commands.query
        lines = [line for line in (command, query) if line]
        if not lines:
            return None
        try:
            answer = self._exchange("".join(f"{line}\n" for line in lines).encode(), wants_answer=query is not None)
        except OSError as error:
            raise PowerControlError(f"{self.where}: expected an answer within {self._timeout_s:g} s, got none "
                                    f"({error.strerror or error}); check that the supply has power and network and "
                                    "nobody else is connected to it", transient=True) from None
        return None if query is None else self._read(answer)

    def _exchange(self, request: bytes, *, wants_answer: bool) -> bytes:
        import socket

        deadline = time.monotonic() + self._timeout_s
        with socket.create_connection((self._host, self._port), self._timeout_s) as link:
            link.sendall(request)
            answer = b""
            while wants_answer and b"\n" not in answer:
                link.settimeout(max(deadline - time.monotonic(), 0.001))
                part = link.recv(ANSWER_CAP_BYTES)
                answer += part
                if not part or len(answer) > ANSWER_CAP_BYTES:
                    break
            if not wants_answer:
                link.shutdown(socket.SHUT_WR)  # closing at once may drop a command that the supply has not read
                link.settimeout(LINGER_S)
                with suppress(TimeoutError, ConnectionError):
                    link.recv(ANSWER_CAP_BYTES)
            return answer

    def _read(self, answer: bytes) -> bool:
        line, end, _ = answer.partition(b"\n")
        state = _STATES.get(line.decode("ascii", "replace").strip().upper()) if end else None
        if state is None:
            raise PowerControlError(f"{self.where}: expected 1, 0, ON or OFF as the answer to {self._commands.query}, "
                                    f"got {clean_bytes(answer, 80)!r}; set `query` to what this supply understands")
        return state
