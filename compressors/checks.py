"""Checks of a step's parameters; each raises ValueError with the field's name, what it must be, and what it is."""

from __future__ import annotations

import math
from collections.abc import Collection


def check_number(name: str, value: object, *, above: float = -math.inf, at_least: float = -math.inf,
                 below: float = math.inf, at_most: float = math.inf) -> None:
    """A finite number within limits; bool does not count as one."""
    limits = [f"{text} {limit:g}" for text, limit in
              (("above", above), ("at least", at_least), ("below", below), ("at most", at_most))
              if math.isfinite(limit)]
    expected = " ".join(["a number", " and ".join(limits)]).strip()
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(f"{name}: expected {expected}, got {value!r}")
    if not (above < value < below and at_least <= value <= at_most):
        raise ValueError(f"{name}: expected {expected}, got {value!r}")


def check_whole(name: str, value: object, *, at_least: int) -> None:
    """A whole number of at least so much."""
    if isinstance(value, bool) or not isinstance(value, int) or value < at_least:
        raise ValueError(f"{name}: expected a whole number of at least {at_least}, got {value!r}")


def check_flag(name: str, value: object) -> None:
    """True or False, nothing that merely counts as one of them."""
    if not isinstance(value, bool):
        raise ValueError(f"{name}: expected true or false, got {value!r}")


def check_choice(name: str, value: object, choices: Collection[str]) -> None:
    """One of a few words."""
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{name}: expected one of {', '.join(choices)}, got {value!r}")


def check_words(name: str, value: object) -> None:
    """At least one word, each once."""
    if not isinstance(value, tuple) or not value or not all(isinstance(word, str) and word for word in value):
        raise ValueError(f"{name}: expected one word or more, got {value!r}")
    if len(set(value)) != len(value):
        raise ValueError(f"{name}: expected each word once, got {value!r}")
