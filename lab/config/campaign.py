"""Campaign files: YAML in, a checked `Campaign` out, and back."""

from __future__ import annotations

import getpass
import math
import os
import re
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from pydantic import ValidationError

from lab.domain.campaign import Campaign, ParamValue, Settings, StepSpec, Technique
from lab.errors import ConfigError, WorkloadError
from lab.workloads.loader import parse_spec

from .campaign_file import MODELS, CampaignFile
from .campaign_yaml import campaign_to_yaml
from .problems import config_error, show
from .yaml_text import Document, KeyPath, read_document

__all__ = ["campaign_from_text", "campaign_to_yaml", "demo_campaign", "load_campaign", "login_name"]

BASELINE_NAME = "baseline"


def load_campaign(path: Path) -> Campaign:
    """Read and check a campaign file; paths in it are relative to it.

    Raises ConfigError naming file, line, key, what was expected and what was found.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: the campaign file cannot be read ({error.strerror}). "
                          "Give the path of a YAML file; examples are in the examples folder.") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: expected UTF-8 text, got a byte that is not (at {error.start}).") from error
    return campaign_from_text(text, str(path), path.resolve().parent)


def campaign_from_text(text: str, name_of_file: str, base_dir: Path) -> Campaign:
    """As `load_campaign`, from text; `name_of_file` stands in errors, relative paths start at `base_dir`."""
    document = read_document(text, name_of_file)
    try:
        file = CampaignFile.model_validate(document.data)
    except ValidationError as error:
        raise config_error(error, document, MODELS) from error
    try:
        protocol = file.protocol.protocol()
    except ValueError as error:
        raise document.problem(("protocol",), str(error)) from error
    return Campaign(
        name=file.name, owner=file.owner or login_name(),
        workload=_workload(file.workload, document, base_dir.resolve()),
        techniques=_techniques(file, document), seeds=tuple(file.seeds), devices=tuple(file.devices),
        settings=_settings(file, document), protocol=protocol, constraints=file.constraints.constraints(),
    )


def demo_campaign() -> tuple[Campaign, str]:
    """The campaign behind `lab demo`, and its text."""
    text = resources.files("lab.config").joinpath("demo.yaml").read_text(encoding="utf-8")
    return campaign_from_text(text, "demo.yaml", Path.cwd()), text


def login_name() -> str:
    """Who is logged in, or the user's number where the system has no name for it."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return f"uid{os.getuid()}"


def _workload(text: str, document: Document, base_dir: Path) -> str:
    try:
        spec = parse_spec(text, base_dir)
    except WorkloadError as error:
        raise ConfigError(f"{document.where(('workload',))}: {error}") from error
    for path in spec.files:
        if not path.is_file():
            raise document.problem(("workload",), f"expected a file at {path} (relative paths start at {base_dir}), "
                                                  "got none.")
    return str(spec)


def _settings(file: CampaignFile, document: Document) -> tuple[Settings, ...]:
    found: list[Settings] = []
    for index, entry in enumerate(file.settings):
        path: KeyPath = ("settings", index) if ("settings", index) in document.lines else ("settings",)
        try:
            expanded = entry.settings()
        except ValueError as error:
            raise document.problem((*path, "load"), str(error)) from error
        for settings in expanded:
            if settings in found:
                raise document.problem(path, f"expected each combination once, got twice: {settings}.")
            found.append(settings)
    return tuple(found)


def _techniques(file: CampaignFile, document: Document) -> tuple[Technique, ...]:
    found = [Technique(name=BASELINE_NAME)]
    for name, items in file.techniques.items():
        path: KeyPath = ("techniques", name)
        if name == BASELINE_NAME:
            if items:
                raise document.problem(path, "the name is taken by the unchanged model, which is always measured. "
                                             "Rename this technique.")
            continue
        if not items:
            raise document.problem(path, "expected at least one step, got none. The baseline is always measured.")
        technique = Technique(name=name, steps=tuple(_step(item, (*path, index), document)
                                                     for index, item in enumerate(items)))
        _check_order(technique, path, document)
        _check_new(technique, found, path, document)
        found.append(technique)
    return tuple(found)


def _check_order(technique: Technique, path: KeyPath, document: Document) -> None:
    from lab.compression.steps import validate_order

    try:
        validate_order(technique)
    except ConfigError as error:
        raise document.problem(path, str(error)) from error


def _check_new(technique: Technique, found: Sequence[Technique], path: KeyPath, document: Document) -> None:
    def identity(steps: tuple[StepSpec, ...]) -> list[tuple[str, list[tuple[str, str]]]]:
        return [(step.name, sorted((key, repr(value)) for key, value in step.params)) for step in steps]

    for other in found:
        if identity(other.steps) == identity(technique.steps):
            raise document.problem(path, f"expected other steps than techniques.{other.name} has, got the same. "
                                         "Leave one of them out.")


def _step(item: object, path: KeyPath, document: Document) -> StepSpec:
    from lab.compression.steps import validate_step

    if isinstance(item, str):
        spec = StepSpec(name=item)
    elif isinstance(item, dict) and len(item) == 1:
        name, params = next(iter(item.items()))
        if not isinstance(params, (dict, type(None))):
            raise document.problem((*path, name), f"expected parameters (keys with values), got {show(params)}.")
        spec = StepSpec(name=name, params=tuple((key, _param(value, (*path, name, key), document))
                                                for key, value in (params or {}).items()))
    else:
        raise document.problem(path, f"expected a step's name, or one name with its parameters, got {show(item)}.")
    try:
        validate_step(spec)
    except ConfigError as error:
        raise document.problem(_blamed(spec, path, str(error)), str(error)) from error
    return spec


def _param(value: object, path: KeyPath, document: Document) -> ParamValue:
    if isinstance(value, list) and all(isinstance(entry, (str, int, float)) for entry in value):
        for index, entry in enumerate(value):
            _check_plain(entry, (*path, index), document)
        return tuple(value)
    if value is not None and not isinstance(value, (str, int, float)):
        raise document.problem(path, f"expected a number, text, true, false or a list of these, got {show(value)}.")
    _check_plain(value, path, document)
    return value


def _check_plain(value: str | float | None, path: KeyPath, document: Document) -> None:
    """Refuse what could not be written back as text that reads the same, or compared."""
    if isinstance(value, float) and not math.isfinite(value):
        raise document.problem(path, f"expected a finite number, got {value!r}.")
    if isinstance(value, str) and not value.isprintable():
        raise document.problem(path, f"expected printable characters, got {show(value)}.")


def _blamed(spec: StepSpec, path: KeyPath, text: str) -> KeyPath:
    """The key path of what `text` complains about: the parameter it names first, else the step."""
    found = [(match.start(), key) for key, _ in spec.params
             if (match := re.search(rf"(?<![\w]){re.escape(key)}(?![\w])", text.removeprefix(f"step {spec.name}")))]
    return (*path, spec.name, min(found)[1]) if found else (*path, spec.name)
