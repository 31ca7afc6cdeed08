"""Device profiles: YAML shipped in `profiles`, or the user's own, into a checked `DeviceProfile`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict
from functools import lru_cache
from importlib import resources
from pathlib import Path

from pydantic import ValidationError

from lab.domain.device import DeviceProfile, Origin
from lab.errors import ConfigError, NotFound
from lab.virtual.physics import Physics
from lab.virtual.tree import TITLE_SUFFIX

from .problems import config_error, did_you_mean
from .profile_file import MODELS, ProfileFile, is_profile_name
from .yaml_text import Document, KeyPath, read_document

_SUFFIX = ".yaml"


def load_profile(name: str, extra_dir: Path | None = None) -> tuple[DeviceProfile, str]:
    """A profile by name, and the SHA-256 of its content (comments and order of keys do not count).

    A file in `extra_dir` goes before a shipped one of the same name. Raises NotFound for an unknown name, and
    ConfigError naming file, line, key, what was expected and what was found.
    """
    text, file = _text(name, extra_dir)
    return _parsed(text, file, name)


def profile_names(extra_dir: Path | None = None) -> tuple[str, ...]:
    """Every profile there is, sorted: the shipped ones and those in `extra_dir`."""
    files = [entry.name for entry in resources.files("profiles").iterdir()]
    if extra_dir is not None and extra_dir.is_dir():
        files += [path.name for path in extra_dir.iterdir()]
    names = {file.removesuffix(_SUFFIX) for file in files if file.endswith(_SUFFIX)}
    return tuple(sorted(filter(is_profile_name, names)))


def profile_from_text(text: str, file: str, name: str) -> DeviceProfile:
    """As `load_profile`, from text; `file` stands in errors, `name` is what the profile must be called."""
    document = read_document(text, file)
    try:
        profile = ProfileFile.model_validate(document.data).profile()
    except ValidationError as error:
        raise config_error(error, document, MODELS) from error
    if problems := [str(document.problem(path, said)) for path, said in _contradictions(profile, name)]:
        raise ConfigError("\n".join(problems))
    _check_physics(profile, document)
    return profile


@lru_cache(maxsize=64)
def _parsed(text: str, file: str, name: str) -> tuple[DeviceProfile, str]:
    """Parsing takes tens of milliseconds, and every decision of the queue asks again."""
    profile = profile_from_text(text, file, name)
    return profile, profile_sha256(profile)


def profile_sha256(profile: DeviceProfile) -> str:
    """SHA-256 over canonical JSON of everything a profile says, defaults written out."""
    text = json.dumps(asdict(profile), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _text(name: str, extra_dir: Path | None) -> tuple[str, str]:
    if is_profile_name(name):
        own = None if extra_dir is None else extra_dir / f"{name}{_SUFFIX}"
        shipped = resources.files("profiles").joinpath(f"{name}{_SUFFIX}")
        source, file = (own, str(own)) if own is not None and own.is_file() else (shipped, f"profiles/{name}{_SUFFIX}")
        if source.is_file():
            try:
                return source.read_text(encoding="utf-8"), file
            except OSError as error:
                raise ConfigError(f"{file}: the profile cannot be read ({error.strerror}). "
                                  "Make it readable for this user.") from error
            except UnicodeDecodeError as error:
                raise ConfigError(f"{file}: expected UTF-8 text, got a byte that is not (at {error.start}).") from error
    names = profile_names(extra_dir)
    raise NotFound(f"No profile {name[:80]!r}.{did_you_mean(name, names)} Known profiles: {', '.join(names)}.")


def _contradictions(profile: DeviceProfile, name: str) -> Iterator[tuple[KeyPath, str]]:
    if profile.name != name:
        yield ("name",), f"expected {name!r}, like the file's name, got {profile.name!r}."
    yield from _virtual_contradictions(profile)
    seen: set[str] = set()
    for index, rail in enumerate(profile.rails):
        if rail.name in seen:
            yield ("rails", index, "name"), f"expected each rail once, got {rail.name!r} twice."
        seen.add(rail.name)
    scopes = sorted({rail.scope.value for rail in profile.rails if rail.headline})
    if len(scopes) > 1:
        yield ("rails",), (f"expected headline rails of one scope, got {' and '.join(scopes)}: their sum would mean "
                           "nothing. Leave headline to the rails that add up to the device.")


def _virtual_contradictions(profile: DeviceProfile) -> Iterator[tuple[KeyPath, str]]:
    is_virtual = profile.transport == "virtual"
    if (profile.origin is Origin.SIMULATED) != is_virtual:
        expected = "simulated" if is_virtual else "measured or estimated"
        yield ("origin",), (f"expected {expected} with transport {profile.transport}, got {profile.origin.value}: "
                            "virtual boards, and only they, have simulated power.")
    if (profile.verified == "virtual") != is_virtual:
        yield ("verified",), (f"expected {'virtual' if is_virtual else 'no or board'} with transport "
                              f"{profile.transport}, got {profile.verified}.")
    if bool(profile.physics) != is_virtual:
        yield ("physics",), ("expected, because transport is virtual; see profiles/virtual-pi4.yaml." if is_virtual
                             else f"expected only with transport virtual, got it with {profile.transport}.")
    if profile.title.endswith(TITLE_SUFFIX) != is_virtual:
        yield ("title",), (f"expected to end with {TITLE_SUFFIX.strip()!r} for virtual boards and only for them, "
                           f"got {profile.title!r}.")


def _check_physics(profile: DeviceProfile, document: Document) -> None:
    if profile.transport != "virtual":
        return
    try:
        Physics.from_pairs(profile.physics)
    except ConfigError as error:
        raise ConfigError(f"{document.where(('physics',))}: {error}") from error
