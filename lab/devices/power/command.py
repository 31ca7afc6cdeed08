"""Anything else: the user's own commands to switch a device on and off."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from lab.domain.untrusted import clean_text
from lab.errors import PowerControlError

from .base import check_state, cycle_power
from .programs import switch_by_program
from .settings import SwitchSettings

_STATES = {"on": True, "1": True, "true": True, "off": False, "0": False, "false": False}


class CommandSwitch:
    """Commands that end with exit status 0 when they succeeded; `state` prints on or off. No shell reads them."""

    REQUIRED: ClassVar[dict[str, str]] = {"on": "command that switches on", "off": "command that switches off"}
    OPTIONAL: ClassVar[dict[str, str]] = {"state": "command that prints on or off",
                                          "timeout_s": "longest time for one command, 30 if left out"}

    def __init__(self, on: tuple[str, ...], off: tuple[str, ...], state: tuple[str, ...],
                 sleep: Callable[[float], None], *, timeout_s: float) -> None:
        self._on = on
        self._off = off
        self._state = state
        self._sleep = sleep
        self._timeout_s = timeout_s

    @classmethod
    def from_settings(cls, settings: SwitchSettings, sleep: Callable[[float], None]) -> CommandSwitch:
        """Raises ConfigError."""
        return cls(settings.argv("on"), settings.argv("off"), settings.argv("state"), sleep,
                   timeout_s=settings.whole("timeout_s", 30, 1, 300))

    @property
    def where(self) -> str:
        """See PowerSwitch; the program's name alone, since arguments may hold a secret."""
        return f"power command {clean_text(self._off[0], 80)}"

    def off(self) -> None:
        """See PowerSwitch."""
        switch_by_program(self._off, self.where, timeout_s=self._timeout_s)
        check_state(self.where, False, self.state())

    def on(self) -> None:
        """See PowerSwitch."""
        switch_by_program(self._on, self.where, timeout_s=self._timeout_s)
        check_state(self.where, True, self.state())

    def state(self) -> bool | None:
        """See PowerSwitch."""
        if not self._state:
            return None
        said = switch_by_program(self._state, self.where, timeout_s=self._timeout_s).output
        state = _STATES.get(said.strip().lower()[:16])
        if state is None:
            raise PowerControlError(f"{self.where}: expected on or off from {clean_text(self._state[0], 80)}, got "
                                    f"{clean_text(said, 80)!r}; make it print one of the two and nothing else")
        return state

    def cycle(self, off_s: float) -> None:
        """See PowerSwitch."""
        cycle_power(self, off_s, self._sleep)
