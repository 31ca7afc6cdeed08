"""YAML with line numbers: plain data only, no duplicate keys, no aliases, bounded size and depth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import yaml

from lab.errors import ConfigError

KeyPath: TypeAlias = tuple[str | int, ...]

SIZE_MAX_CHARACTERS = 1_000_000
DEPTH_MAX = 32


@dataclass(frozen=True, kw_only=True)
class Document:
    """What a YAML text says, and on which line each key or list entry stands (1-based)."""

    name: str
    data: object
    lines: Mapping[KeyPath, int]

    def where(self, path: KeyPath) -> str:
        """`file:line` of a key, or of the closest one above it that the file has."""
        while path and path not in self.lines:
            path = path[:-1]
        return f"{self.name}:{self.lines[path]}" if path in self.lines else self.name

    def problem(self, path: KeyPath, text: str) -> ConfigError:
        """A ConfigError that names file, line and key path before `text`."""
        key = path_text(path)
        return ConfigError(f"{self.where(path)}: {key}: {text}" if key else f"{self.where(path)}: {text}")


def path_text(path: KeyPath) -> str:
    """A key path as people write it: `techniques.int8[0].quantize_static`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def read_document(text: str, name: str) -> Document:
    """Parse one YAML document; `name` stands for the file in errors. Raises ConfigError naming line and key."""
    if len(text) > SIZE_MAX_CHARACTERS:
        raise ConfigError(f"{name}: expected at most {SIZE_MAX_CHARACTERS} characters, got {len(text)}.")
    lines: dict[KeyPath, int] = {}
    try:
        _check_events(text, name)
        loader = yaml.SafeLoader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return Document(name=name, data=None, lines={})
            _walk(node, (), name, lines)
            data: object = loader.construct_document(node)
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        raise ConfigError(_syntax_text(error, name)) from error
    except (ValueError, OverflowError) as error:
        raise ConfigError(f"{name}: a value cannot be read as a date or number: {error}. Put it in quotes.") from error
    return Document(name=name, data=data, lines=lines)


def _check_events(text: str, name: str) -> None:
    """Refuse what could grow without bound, before anything recursive looks at the text."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        line = 0 if event.start_mark is None else event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent):
            raise ConfigError(f"{name}:{line}: aliases (*{event.anchor}) are not used here. Write the value out.")
        if isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            depth += 1
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            depth -= 1
        if depth > DEPTH_MAX:
            raise ConfigError(f"{name}:{line}: nested deeper than {DEPTH_MAX} levels.")


def _walk(node: yaml.Node, path: KeyPath, name: str, lines: dict[KeyPath, int]) -> None:
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _walk(item, (*path, index), name, lines)
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            line = key.start_mark.line + 1
            if key.tag != "tag:yaml.org,2002:str":
                raise ConfigError(f"{name}:{line}: key {key.value!r}: expected text, but YAML reads it as "
                                  f"{key.tag.rpartition(':')[2]}. Put it in quotes.")
            below = (*path, key.value)
            if below in lines:
                raise ConfigError(f"{name}:{line}: {path_text(below)}: the key is there twice (first on line "
                                  f"{lines[below]}). Remove or rename one.")
            lines[below] = line
            _walk(value, below, name, lines)


def _syntax_text(error: yaml.YAMLError, name: str) -> str:
    mark = error.problem_mark if isinstance(error, yaml.MarkedYAMLError) else None
    where = name if mark is None else f"{name}:{mark.line + 1}"
    problem = (error.problem if isinstance(error, yaml.MarkedYAMLError) else None) or " ".join(str(error).split())
    return f"{where}: not valid YAML: {problem}. Check indentation, colons and quotes around this line."
