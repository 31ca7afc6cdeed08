"""Reads a device's power settings: pairs of texts, checked before any switch is touched."""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from lab.errors import ConfigError

_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, kw_only=True)
class SwitchSettings:
    """Settings of one kind of switch; every getter raises ConfigError naming the key.

    Passwords are never among them: `password_env` names the environment variable that holds one, which is read only
    when the switch is used, on the machine beside it.
    """

    kind: str
    values: Mapping[str, str]
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)

    def text(self, key: str, default: str = "") -> str:
        """One line, or the default where the key is missing."""
        value = self.values.get(key, default).strip()
        if not value.isprintable():
            raise self.wrong(key, "one printable line", value)
        return value

    def whole(self, key: str, default: int, low: int, high: int) -> int:
        """A whole number in [low, high]."""
        value = self.text(key, str(default))
        if not (value.isascii() and value.isdigit() and len(value) < 10 and low <= int(value) <= high):
            raise self.wrong(key, f"a whole number from {low} to {high}", value)
        return int(value)

    def argv(self, key: str) -> tuple[str, ...]:
        """A command as a shell would split it; no shell runs it. Empty where the key is missing."""
        value = self.text(key)
        try:
            parts = tuple(shlex.split(value))
        except ValueError:
            raise self.wrong(key, "a command with paired quotes", value) from None
        if key in self.values and not (parts and parts[0]):
            raise self.wrong(key, "a command", value)
        return parts

    def base_url(self, key: str) -> str:
        """An http or https address without path, query or password; `http://` may be left out."""
        value = self.text(key)
        url = value if "://" in value else f"http://{value}"
        if "@" in url:
            raise ConfigError(f"power {self.kind}: {key}: an address holds no user or password; name the environment "
                              "variable with the password in `password_env`")
        try:
            parts = urlsplit(url)
            is_host = bool(parts.hostname) and (parts.port is None or parts.port > 0)
        except ValueError:
            is_host = False
        if not is_host or parts.scheme not in ("http", "https") or parts.path not in ("", "/") or (
                parts.query or parts.fragment or not value.isascii() or " " in value):
            raise self.wrong(key, "an address like 192.168.1.20 or https://plug.local", value)
        return f"{parts.scheme}://{parts.netloc}"

    def password(self) -> str | None:
        """From the environment variable that `password_env` names; None where the switch needs none."""
        name = self.text("password_env")
        if not name:
            return None
        if not _ENV_NAME.fullmatch(name):
            # The text is not shown: somebody may have put the password itself here.
            raise ConfigError(f"power {self.kind}: password_env: expected the name of an environment variable, like "
                              "PLUG_PASSWORD, got something else; never put the password itself there")
        if not self.environ.get(name):
            raise ConfigError(f"power {self.kind}: password_env: the environment variable {name} is not set; set it "
                              "where the worker beside the device is started")
        return self.environ[name]

    def check_keys(self, required: Mapping[str, str], optional: Mapping[str, str]) -> None:
        """Raise ConfigError for a key that is missing or that this kind does not know, with what each one means."""
        known = {**required, **optional}
        for key in self.values:
            if key not in known:
                close = difflib.get_close_matches(key, list(known), n=1)
                hint = f"; did you mean {close[0]!r}?" if close else ""
                raise ConfigError(f"power {self.kind}: unknown key {key!r}; it takes {', '.join(known)}{hint}")
        missing = [key for key in required if not self.values.get(key, "").strip()]
        if missing:
            wanted = "; ".join(f"{key} ({required[key]})" for key in missing)
            raise ConfigError(f"power {self.kind}: missing {wanted}")

    def wrong(self, key: str, expected: str, got: str) -> ConfigError:
        """The error for a value that is not what the key takes."""
        return ConfigError(f"power {self.kind}: {key}: expected {expected}, got {got[:80]!r}")
