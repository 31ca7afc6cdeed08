"""What pydantic found wrong, told in the words of the file: line, key path, expected, got, closest match."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ValidationError

from lab.errors import ConfigError

from .yaml_text import Document, KeyPath

PROBLEMS_SHOWN = 10


def config_error(error: ValidationError, document: Document, models: Mapping[str, type[BaseModel]]) -> ConfigError:
    """One ConfigError with a line for each problem, in the order of the file.

    `models` maps the name of the key that holds a model ("" at the top) to that model, to know its keys.
    """
    told: dict[str, int] = {}
    for item in error.errors(include_url=False):
        path, text = _problem(dict(item), document, models)
        line = max((number for known, number in document.lines.items() if path[:len(known)] == known), default=0)
        told.setdefault(str(document.problem(path, text)), line)
    lines = sorted(told, key=lambda text: told[text])
    if len(lines) > PROBLEMS_SHOWN:
        lines = [*lines[:PROBLEMS_SHOWN], f"… and {len(lines) - PROBLEMS_SHOWN} more"]
    return ConfigError("\n".join(lines))


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """` Did you mean 'x'?` for the closest known word, or nothing."""
    close = get_close_matches(word, list(known), 1, 0.6)
    return f" Did you mean {close[0]!r}?" if close else ""


def show(value: object) -> str:
    """A value from the file, short enough for one line."""
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "…"


def _problem(item: dict[str, Any], document: Document, models: Mapping[str, type[BaseModel]]) -> tuple[KeyPath, str]:
    path = _path_in_file(item["loc"], document)
    kind, value = str(item["type"]), item["input"]
    if kind == "extra_forbidden":
        known = models[_holder(path[:-1])].model_fields
        return path, f"unknown key.{did_you_mean(str(path[-1]), known)} Known keys: {', '.join(known)}."
    if kind == "missing":
        return path, "expected, but the file does not have it."
    if kind == "value_error":
        return path, str(item["ctx"]["error"])
    expected = _expected(item)
    hint = _hint(kind, value, item)
    return path, f"expected {expected}, got {show(value)}.{hint}"


def _path_in_file(location: tuple[str | int, ...], document: Document) -> KeyPath:
    """Pydantic's location without what the file does not have: the file may give one value where a list is read."""
    path: KeyPath = ()
    for part in location:
        below = (*path, part)
        if part != "[key]" and (isinstance(part, str) or below in document.lines):
            path = below
    return path


def _holder(path: KeyPath) -> str:
    return next((part for part in reversed(path) if isinstance(part, str)), "")


def _expected(item: dict[str, Any]) -> str:
    text = str(item["msg"])
    plain = {
        "model_type": "keys with values", "dict_type": "keys with values", "list_type": "a list",
        "string_type": "text", "int_type": "a whole number", "float_type": "a number",
        "int_from_float": "a whole number", "finite_number": "a finite number",
        "too_short": "at least one entry",
    }
    kind = str(item["type"])
    if kind in plain:
        return plain[kind]
    expected = text.removeprefix("Input should be ")
    return f"a number {expected}" if expected.startswith(("greater", "less")) else expected


def _hint(kind: str, value: object, item: dict[str, Any]) -> str:
    if kind == "literal_error" and isinstance(value, str):
        words = str(item["ctx"]["expected"]).replace(" or ", ", ").split(", ")
        return did_you_mean(value, [word.strip("'") for word in words])
    if kind == "string_type" and isinstance(value, bool):
        return " YAML reads yes, no, on and off as true or false: put the word in quotes."
    if kind == "string_type" and value is not None:
        return " Put it in quotes."
    if kind in ("int_type", "float_type") and isinstance(value, str) and _is_number(value):
        return f" YAML reads it as text: write {float(value):g} without quotes or exponent."
    return ""


def _is_number(text: str) -> bool:
    try:
        return abs(float(text)) < 1e15
    except ValueError:
        return False
