"""What was computed once: one folder per step, named by the hash of everything that decides its outcome."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import Any

from compressors.base import Structure
from lab.errors import CompressionError

logger = logging.getLogger(__name__)

FORMAT = 1
ENTRY = "entry.json"
STRUCTURE = "structure.json"
STATE = "state.pt"
_LIBRARIES = ("torch", "onnx", "onnxruntime", "onnxscript", "onnx-ir", "torch-pruning", "numpy")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """The outcome of one step (or of the baseline's export): the artifact and what is known about it.

    `state_sha256` is the hash of the torch step's state dict beside this entry, None for an ONNX step.
    """

    artifact_sha256: str
    size_bytes: int
    opset: int
    ir_version: int
    parameters: int
    macs: int | None
    accuracy_ratio: float | None
    duration_ns: int
    notes: tuple[str, ...] = ()
    state_sha256: str | None = None
    format: int = FORMAT


def cache_key(parts: Mapping[str, object]) -> str:
    """SHA-256 over canonical JSON of what decides an outcome, together with the libraries' versions."""
    text = json.dumps({**parts, "format": FORMAT, "libraries": library_versions()}, sort_keys=True,
                      separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


@cache
def library_versions() -> dict[str, str]:
    """Installed versions of the libraries that compute, read without importing them."""
    found = {}
    for name in _LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "absent"
    return found


class StepCache:
    """Entries under `root`; safe with several processes: an entry appears whole or not at all."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def read(self, key: str) -> Entry | None:
        """The entry of this key, or None where there is none or it is damaged."""
        place = self._place(key) / ENTRY
        try:
            entry = _entry(json.loads(place.read_text("utf-8")))
            if entry.state_sha256 is not None and _file_sha256(self._place(key) / STATE) != entry.state_sha256:
                raise ValueError(f"{STATE} differs from the hash written beside it")
        except FileNotFoundError as error:
            if place.exists():
                logger.warning("The cached step in %s lacks %s and is made again.", place.parent, error.filename)
            return None
        except (OSError, ValueError, TypeError) as error:
            logger.warning("The cached step in %s cannot be used (%s) and is made again.", place.parent, error)
            return None
        return entry

    def structure(self, key: str) -> Structure:
        """What a torch step of this key did to the layers; raises CompressionError if it cannot be read."""
        place = self._place(key) / STRUCTURE
        try:
            structure: Structure = json.loads(place.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise CompressionError(f"cannot read {place}: {error}; delete {place.parent} and repeat") from error
        return structure

    def state_path(self, key: str) -> Path:
        """Where the state dict of a torch step of this key lies."""
        return self._place(key) / STATE

    def forget(self, key: str) -> None:
        """Remove an entry that is of no use any more, such as one whose artifact was deleted."""
        shutil.rmtree(self._place(key), ignore_errors=True)

    def write(self, key: str, entry: Entry, structure: Structure | None = None,
              save_state: Callable[[Path], None] | None = None) -> Entry:
        """Keep an outcome whole or not at all, and return it with `state_sha256` filled in.

        One that another process kept first stays. Raises CompressionError if the disk refuses.
        """
        place = self._place(key)
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=".tmp-", dir=place.parent) as scratch:
                made = Path(scratch) / "entry"
                made.mkdir()
                if save_state is not None:
                    save_state(made / STATE)
                    entry = replace(entry, state_sha256=_file_sha256(made / STATE))
                    (made / STRUCTURE).write_text(json.dumps(structure) + "\n", "utf-8")
                (made / ENTRY).write_text(json.dumps(asdict(entry), indent=1) + "\n", "utf-8")
                for path in (*made.iterdir(), made):
                    _fsync(path)
                self._publish(made, key)
            _fsync(place.parent)
        except OSError as error:
            raise CompressionError(f"cannot keep the outcome of a step in {place}: {error}; free space there, or "
                                   "set LAB_HOME to a folder that can be written") from error
        return entry

    def _publish(self, made: Path, key: str) -> None:
        place = self._place(key)
        if place.exists() and self.read(key) is None:
            shutil.move(place, made.parent / "damaged")
        try:
            made.rename(place)
        except OSError:
            if self.read(key) is None:
                raise

    def _place(self, key: str) -> Path:
        return self.root / key[:2] / key


def _entry(data: Any) -> Entry:
    if not isinstance(data, dict) or set(data) != {field.name for field in fields(Entry)}:
        raise ValueError(f"{ENTRY} is not what this version writes")
    return Entry(**{**data, "notes": tuple(data["notes"])})


def _file_sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
