"""Shelly plugs and relays. `/shelly` says which generation: 1 has one address per relay, 2 and later speak RPC."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from lab.domain.untrusted import clean_text
from lab.errors import PowerControlError

from .base import check_state, cycle_power
from .login import Login
from .settings import SwitchSettings
from .web import get_json


class ShellySwitch:
    """One output of a Shelly. Sources: shelly-api-docs.shelly.cloud, /gen1 (Relay) and /gen2 (Switch, Authentication).

    Generation 1 takes the password as HTTP Basic, later ones as HTTP Digest with SHA-256 and the user `admin`.
    """

    REQUIRED: ClassVar[dict[str, str]] = {"url": "address of the Shelly, like http://192.168.1.20"}
    OPTIONAL: ClassVar[dict[str, str]] = {
        "output": "number of the relay, 0 for the first", "user": "login name, admin if left out",
        "password_env": "environment variable with the password"}

    def __init__(self, url: str, output: int, login: Login | None, sleep: Callable[[float], None]) -> None:
        self._url = url
        self._output = output
        self._login = login
        self._sleep = sleep
        self._generation: int | None = None

    @classmethod
    def from_settings(cls, settings: SwitchSettings, sleep: Callable[[float], None]) -> ShellySwitch:
        """Raises ConfigError."""
        password = settings.password()
        login = None if password is None else Login(settings.text("user", "admin"), password)
        return cls(settings.base_url("url"), settings.whole("output", 0, 0, 99), login, sleep)

    @property
    def where(self) -> str:
        """See PowerSwitch."""
        return f"Shelly {self._url} output {self._output}"

    def off(self) -> None:
        """See PowerSwitch."""
        self._switch(wanted=False)

    def on(self) -> None:
        """See PowerSwitch."""
        self._switch(wanted=True)

    def state(self) -> bool:
        """See PowerSwitch; a Shelly always knows."""
        if self._is_rpc():
            return self._flag(self._get(f"/rpc/Switch.GetStatus?id={self._output}"), "output")
        return self._flag(self._get(f"/relay/{self._output}"), "ison")

    def cycle(self, off_s: float) -> None:
        """See PowerSwitch."""
        cycle_power(self, off_s, self._sleep)

    def _switch(self, *, wanted: bool) -> None:
        if self._is_rpc():
            self._get(f"/rpc/Switch.Set?id={self._output}&on={str(wanted).lower()}")
            got = self.state()  # the answer to Set tells only what was before
        else:
            got = self._flag(self._get(f"/relay/{self._output}?turn={'on' if wanted else 'off'}"), "ison")
        check_state(self.where, wanted, got)

    def _is_rpc(self) -> bool:
        """Asked once: the generation of a device does not change."""
        if self._generation is None:
            told = self._get("/shelly")
            generation = told.get("gen", 1 if isinstance(told.get("type"), str) else None)
            if isinstance(generation, bool) or not isinstance(generation, int) or generation < 1:
                raise PowerControlError(f"{self.where}: expected a Shelly's description at /shelly, got something "
                                        "else; check the address")
            self._generation = generation
        return self._generation >= 2

    def _get(self, path: str) -> dict[str, Any]:
        return get_json(self._url + path, self.where, self._login)

    def _flag(self, answer: dict[str, Any], key: str) -> bool:
        value = answer.get(key)
        if not isinstance(value, bool):
            raise PowerControlError(f"{self.where}: expected true or false as {key!r}, got "
                                    f"{clean_text(repr(value), 80)}; check that the output is a relay")
        return value
