"""A port of a USB hub that can cut its power, through the program uhubctl."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import ClassVar

from lab.errors import PowerControlError

from .base import check_state, cycle_power
from .programs import switch_by_program
from .settings import SwitchSettings

PORTS_MAX = 14
"""As in uhubctl."""

_HUB = re.compile(r"[0-9]{1,3}(-[0-9]{1,2}(\.[0-9]{1,2}){0,6})?")
_HEADING = re.compile(r"(?:Current|New) status for hub (\S+) ")
_PORT = re.compile(r"  Port ([0-9]+): [0-9a-f]{4}\b([^\[]*)")


class UsbHubSwitch:
    """Source: github.com/mvp/uhubctl. It exits with 0 also when the hub did not obey, so its report is read.

    A USB 3 hub is two hubs in one case; uhubctl switches both, and the port is off once both say so.
    """

    REQUIRED: ClassVar[dict[str, str]] = {"hub": "location as uhubctl prints it, like 1-1.4", "port": "its port"}
    OPTIONAL: ClassVar[dict[str, str]] = {"program": "command, uhubctl if left out; for example sudo -n uhubctl"}

    def __init__(self, hub: str, port: int, program: tuple[str, ...], sleep: Callable[[float], None]) -> None:
        self._hub = hub
        self._port = port
        self._program = program
        self._sleep = sleep

    @classmethod
    def from_settings(cls, settings: SwitchSettings, sleep: Callable[[float], None]) -> UsbHubSwitch:
        """Raises ConfigError."""
        hub = settings.text("hub")
        if not _HUB.fullmatch(hub):
            raise settings.wrong("hub", "a location like 1-1.4, as uhubctl prints it", hub)
        return cls(hub, settings.whole("port", 0, 1, PORTS_MAX), settings.argv("program") or ("uhubctl",), sleep)

    @property
    def where(self) -> str:
        """See PowerSwitch."""
        return f"USB hub {self._hub} port {self._port}"

    def off(self) -> None:
        """See PowerSwitch."""
        check_state(self.where, False, self._call("-a", "off"))

    def on(self) -> None:
        """See PowerSwitch."""
        check_state(self.where, True, self._call("-a", "on"))

    def state(self) -> bool:
        """See PowerSwitch."""
        return self._call()

    def cycle(self, off_s: float) -> None:
        """See PowerSwitch; not uhubctl's own cycle, which leaves the port off if it is killed in the middle."""
        cycle_power(self, off_s, self._sleep)

    def _call(self, *action: str) -> bool:
        argv = (*self._program, "-l", self._hub, "-p", str(self._port), *action)
        return self._is_on(switch_by_program(argv, self.where).output)

    def _is_on(self, report: str) -> bool:
        """The last state of the port at each hub; the first report of an action is from before it."""
        states: dict[str, bool] = {}
        hub = ""
        for line in report.splitlines():
            if heading := _HEADING.match(line):
                hub = heading[1]
            elif (port := _PORT.match(line)) and int(port[1]) == self._port:
                states[hub] = "power" in port[2].split()
        if not states:
            raise PowerControlError(f"{self.where}: expected a line `Port {self._port}: …` from {self._program[-1]}, "
                                    "got none; check hub and port with `uhubctl`")
        return any(states.values())
