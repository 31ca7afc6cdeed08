"""Reads JSON that a device sent: every value is checked for type and range, every text is cleaned."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lab.errors import ProtocolMismatch

TEXT_CAP = 400
"""Longest text kept from a device, in characters."""

WHOLE_CAP = 2**62
"""Largest whole number accepted where nothing tighter is known; sums of two stay inside 64 bits."""

_ESCAPES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI, ECMA-48 §5.4
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d\x9e\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"  # OSC, DCS, SOS, PM, APC
    r"|\x9b[0-?]*[ -/]*[@-~]"
    r"|\x1b[ -/]*[0-~]?"
)
_ID = re.compile(r"[0-9a-zA-Z][0-9a-zA-Z_.-]{0,127}")


def clean_text(text: str, cap: int = TEXT_CAP) -> str:
    """One printable line: terminal escapes, control, invisible and unpaired characters gone, at most `cap` long."""
    kept = "".join(_clean_character(character) for character in _ESCAPES.sub("", text[:16 * cap]))
    line = " ".join(kept.split())
    return line if len(line) <= cap else line[:cap - 1] + "…"


def _clean_character(character: str) -> str:
    category = unicodedata.category(character)
    if character in "\t\n\r\v\f" or category in {"Zl", "Zp"}:
        return " "
    return "" if category[0] == "C" else character


@dataclass(frozen=True, kw_only=True)
class Fields:
    """A JSON object with its place in the message; every getter raises ProtocolMismatch naming that place."""

    values: Mapping[str, object]
    where: str

    @classmethod
    def of(cls, value: object, where: str) -> Fields:
        """The object `value`, or ProtocolMismatch if it is none."""
        if not isinstance(value, Mapping) or any(not isinstance(key, str) for key in value):
            raise mismatch(where, "an object", value)
        return cls(values=value, where=where)

    def place(self, key: str) -> str:
        """Full name of a field, for error texts."""
        return f"{self.where}.{clean_text(key, 64)}" if self.where else clean_text(key, 64)

    def has(self, key: str) -> bool:
        """Whether the field is there and not null."""
        return self.values.get(key) is not None

    def text(self, key: str, cap: int = TEXT_CAP) -> str:
        """Cleaned text; may not be empty."""
        text = self._text(key)
        cleaned = clean_text(text, cap)
        if not cleaned:
            raise mismatch(self.place(key), "a text", text)
        return cleaned

    def identifier(self, key: str) -> str:
        """A name that may be part of a key: letters, digits, `_.-`, at most 128."""
        text = self._text(key)
        if not _ID.fullmatch(text):
            raise mismatch(self.place(key), "an identifier", text)
        return text

    def choice(self, key: str, allowed: Sequence[str]) -> str:
        """One of the texts in `allowed`."""
        text = self._text(key)
        if text not in allowed:
            raise mismatch(self.place(key), f"one of {', '.join(allowed)}", text)
        return text

    def whole(self, key: str, low: int = 0, high: int = WHOLE_CAP) -> int:
        """A whole number in [low, high]; a JSON float or bool is none."""
        value = self.values.get(key)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise mismatch(self.place(key), f"a whole number from {low} to {high}", value)
        return value

    def whole_or_none(self, key: str, low: int = 0, high: int = WHOLE_CAP) -> int | None:
        """As `whole`, or None where the field is null or missing."""
        return self.whole(key, low, high) if self.has(key) else None

    def flag(self, key: str) -> bool:
        """True or false; a number is neither."""
        value = self.values.get(key)
        if not isinstance(value, bool):
            raise mismatch(self.place(key), "true or false", value)
        return value

    def number(self, key: str, low: float, high: float) -> float:
        """A finite number in [low, high]."""
        value = self.values.get(key)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            raise mismatch(self.place(key), f"a number from {low:g} to {high:g}", value)
        return float(value)

    def nested(self, key: str, cap: int) -> Fields:
        """A nested object with at most `cap` members; an absent one is empty."""
        value = self.values.get(key)
        fields = Fields.of({} if value is None else value, self.place(key))
        if len(fields.values) > cap:
            raise mismatch(self.place(key), f"at most {cap} members", len(fields.values))
        return fields

    def items(self, key: str, cap: int) -> Sequence[object]:
        """A list of at most `cap` items; an absent one is empty."""
        value = self.values.get(key)
        if value is None:
            return ()
        if not isinstance(value, (list, tuple)) or len(value) > cap:
            raise mismatch(self.place(key), f"a list of at most {cap} items", value)
        return value

    def _text(self, key: str) -> str:
        value = self.values.get(key)
        if not isinstance(value, str):
            raise mismatch(self.place(key), "a text", value)
        return value


def mismatch(where: str, expected: str, got: object) -> ProtocolMismatch:
    """The error for a value that is not what the protocol says, with the value shown short and clean."""
    return ProtocolMismatch(f"the device sent {where or 'something'} that is wrong: expected {expected}, "
                            f"got {_shown(got)}; update the device's agent by connecting to it again")


def _shown(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, float) and not math.isfinite(value):
        return "a number that is not finite"
    if isinstance(value, int) and abs(value) > WHOLE_CAP:
        return "a number out of range"  # printing a huge integer can itself fail
    if isinstance(value, (str, int, float)):
        return repr(clean_text(str(value), 80))
    if isinstance(value, (list, tuple, Mapping)):
        return f"{type(value).__name__} of {len(value)}"
    return type(value).__name__
