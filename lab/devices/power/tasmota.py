"""Plugs and relays with Tasmota firmware, through its web commands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar
from urllib.parse import quote, urlencode

from lab.domain.untrusted import clean_text
from lab.errors import PowerControlError

from .base import check_state, cycle_power
from .login import Login
from .settings import SwitchSettings
from .web import get_json, password_error


class TasmotaSwitch:
    """One output of a Tasmota device. Source: tasmota.github.io/docs/Commands, "with web requests" and "Power".

    The firmware takes the password in the address, so the address appears in no text.
    """

    REQUIRED: ClassVar[dict[str, str]] = {"url": "address of the plug, like http://192.168.1.21"}
    OPTIONAL: ClassVar[dict[str, str]] = {
        "output": "number of the relay, 1 for the first", "user": "login name, admin if left out",
        "password_env": "environment variable with the web password"}

    def __init__(self, url: str, output: int, login: Login | None, sleep: Callable[[float], None]) -> None:
        self._url = url
        self._output = output
        self._login = login
        self._sleep = sleep

    @classmethod
    def from_settings(cls, settings: SwitchSettings, sleep: Callable[[float], None]) -> TasmotaSwitch:
        """Raises ConfigError."""
        password = settings.password()
        login = None if password is None else Login(settings.text("user", "admin"), password)
        return cls(settings.base_url("url"), settings.whole("output", 1, 1, 32), login, sleep)

    @property
    def where(self) -> str:
        """See PowerSwitch."""
        return f"Tasmota {self._url} output {self._output}"

    def off(self) -> None:
        """See PowerSwitch."""
        check_state(self.where, False, self._power(" Off"))

    def on(self) -> None:
        """See PowerSwitch."""
        check_state(self.where, True, self._power(" On"))

    def state(self) -> bool:
        """See PowerSwitch; the command without a value asks."""
        return self._power("")

    def cycle(self, off_s: float) -> None:
        """See PowerSwitch."""
        cycle_power(self, off_s, self._sleep)

    def _power(self, value: str) -> bool:
        name = "Power" if self._output == 1 else f"Power{self._output}"
        query = {"user": self._login.user, "password": self._login.password} if self._login else {}
        url = f"{self._url}/cm?{urlencode({**query, 'cmnd': name + value}, quote_via=quote)}"
        return self._is_on(get_json(url, self.where, is_password_in_url=self._login is not None))

    def _is_on(self, answer: dict[str, Any]) -> bool:
        """From `{"POWER": "ON"}`; devices with several relays number the key, also that of the first."""
        if "WARNING" in answer:  # older firmware refuses with status 200 and `Need user=<username>&password=…`
            raise password_error(self.where, has_password=self._login is not None)
        key = f"POWER{self._output}"
        value = answer.get(key, answer.get("POWER") if self._output == 1 else None)
        if value not in ("ON", "OFF"):
            raise PowerControlError(f"{self.where}: expected ON or OFF as {key!r}, got "
                                    f"{clean_text(repr(answer), 120)}; check the number of the output")
        return bool(value == "ON")
