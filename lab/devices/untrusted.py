"""Kinds of fields that agents send, beyond those every reader of device data shares."""

from __future__ import annotations

import re

from lab.domain.untrusted import Fields, clean_text, mismatch

NAME_CAP = 100
_SHA256 = re.compile(r"[0-9a-f]{64}")


def flag(fields: Fields, key: str) -> bool:
    """True or false; raises ProtocolMismatch, as do the others."""
    value = fields.values.get(key)
    if not isinstance(value, bool):
        raise mismatch(fields.place(key), "true or false", value)
    return value


def sha256(fields: Fields, key: str) -> str:
    """A SHA-256 in lower-case hex."""
    value = fields.values.get(key)
    if not isinstance(value, str) or not _SHA256.fullmatch(value):
        raise mismatch(fields.place(key), "a SHA-256", value)
    return value


def objects(fields: Fields, key: str, cap: int) -> tuple[Fields, ...]:
    """A list of objects."""
    items = fields.items(key, cap)
    return tuple(Fields.of(item, f"{fields.place(key)}[{index}]") for index, item in enumerate(items))


def texts(fields: Fields, key: str, cap: int) -> tuple[str, ...]:
    """A list of short texts, cleaned."""
    return tuple(_clean(item, f"{fields.place(key)}[{index}]") for index, item in enumerate(fields.items(key, cap)))


def pairs(fields: Fields, key: str, cap: int) -> tuple[tuple[str, str], ...]:
    """An object whose values are texts, in order of its keys, cleaned."""
    nested = fields.nested(key, cap)
    return tuple(sorted((clean_text(name, NAME_CAP), nested.text(name)) for name in nested.values))


def _clean(value: object, place: str) -> str:
    if not isinstance(value, str):
        raise mismatch(place, "a text", value)
    return clean_text(value, NAME_CAP)
