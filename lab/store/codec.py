"""Domain dataclasses to JSON text and back, exactly; which classes exist is decided by the reader, not the text."""

from __future__ import annotations

import json
import math
import types
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from lab.errors import StoreError

T = TypeVar("T")


def to_text(value: object) -> str:
    """Canonical JSON of a dataclass, tuple or scalar; raises StoreError on anything else."""
    return json.dumps(_encode(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def from_text(hint: type[T] | object, text: str) -> T:
    """The value that `to_text` wrote, as `hint` says; raises StoreError if it is something else."""
    try:
        data = json.loads(text)
    except ValueError as error:
        raise StoreError(f"the database holds text that is not JSON where {hint} was expected: {error}") from None
    return cast("T", _decode(hint, data))


def _encode(value: object) -> object:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": repr(float(value))}  # JSON has no infinity, and degrees of freedom can be one
    if value is None or isinstance(value, (str, int, float)):
        return value
    if isinstance(value, (tuple, list)):
        return [_encode(item) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _encode(getattr(value, field.name)) for field in fields(value)}
    raise StoreError(f"a {type(value).__name__} cannot be stored: expected texts, numbers, tuples or dataclasses")


def _decode(hint: object, data: object) -> object:
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return _decode_union(get_args(hint), data)
    if origin is tuple:
        return _decode_tuple(get_args(hint), data)
    if hint is object:
        return _decode_untyped(data)
    if isinstance(hint, type) and is_dataclass(hint):
        return _decode_dataclass(hint, data)
    if not _fits(hint, data):
        raise StoreError(f"the database holds {data!r:.200} where {hint} was expected: it was written by another "
                         "version or damaged; restore a backup")
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint(data)
    return float(str(data["float"])) if isinstance(data, dict) else data


def _decode_union(options: tuple[object, ...], data: object) -> object:
    for option in options:
        if _fits(option, data):
            return _decode(option, data)
    raise StoreError(f"the database holds {data!r:.200} where one of {options} was expected")


def _decode_tuple(items: tuple[object, ...], data: object) -> object:
    if not isinstance(data, list):
        raise StoreError(f"the database holds {data!r:.200} where a list was expected")
    if len(items) == 2 and items[1] is Ellipsis:
        return tuple(_decode(items[0], item) for item in data)
    if len(items) != len(data):
        raise StoreError(f"the database holds a list of {len(data)} where {len(items)} values were expected")
    return tuple(_decode(hint, item) for hint, item in zip(items, data, strict=True))


def _decode_untyped(data: object) -> object:
    if isinstance(data, list):
        return tuple(_decode_untyped(item) for item in data)
    return float(str(data["float"])) if isinstance(data, dict) else data


def _decode_dataclass(cls: type, data: object) -> object:
    if not isinstance(data, Mapping):
        raise StoreError(f"the database holds {data!r:.200} where a {cls.__name__} was expected")
    hints = _hints(cls)
    values: dict[str, Any] = {}
    for field in fields(cls):
        if field.name in data:
            values[field.name] = _decode(hints[field.name], data[field.name])
        elif not _has_default(field):
            raise StoreError(f"a stored {cls.__name__} lacks {field.name!r}: it was written by another version")
    return cls(**values)


def _has_default(field: Field[Any]) -> bool:
    return field.default is not MISSING or field.default_factory is not MISSING


@cache
def _hints(cls: type) -> Mapping[str, object]:
    return get_type_hints(cls)


def _fits(hint: object, data: object) -> bool:
    """Whether JSON `data` can be what `hint` says, so that a union can choose."""
    origin = get_origin(hint)
    if origin is Literal:
        return data in get_args(hint)
    if origin is tuple:
        return isinstance(data, list)
    if hint is type(None) or hint is None:
        return data is None
    if hint is float:
        is_marked = isinstance(data, dict) and set(data) == {"float"}
        return is_marked or (isinstance(data, (int, float)) and not isinstance(data, bool))
    if hint is int:
        return isinstance(data, int) and not isinstance(data, bool)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return data in [member.value for member in hint]
    if isinstance(hint, type) and is_dataclass(hint):
        return isinstance(data, dict) and set(data) != {"float"}
    return hint in (str, bool) and type(data) is hint
