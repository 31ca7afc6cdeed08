"""Trained built-in workloads on disk, so that training happens once per lab home."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from lab.errors import WorkloadError

from .base import Array

logger = logging.getLogger(__name__)

WEIGHTS = "weights.pt"
ARRAYS = "arrays.npz"
FACTS = "facts.json"


@dataclass(frozen=True, kw_only=True)
class TrainedFacts:
    """What is known of a cached model without opening its weights; the hashes are of the two files beside it."""

    workload_sha256: str
    accuracy_ratio: float
    weights_file_sha256: str
    arrays_file_sha256: str
    versions: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainedFiles:
    """One checked cache entry."""

    facts: TrainedFacts
    arrays: Mapping[str, Array]
    weights_path: Path


def read_trained(directory: Path) -> TrainedFiles | None:
    """The entry at `directory`, or None where there is none or where it is damaged."""
    if not directory.is_dir():
        return None
    try:
        facts = _facts(json.loads((directory / FACTS).read_text("utf-8")))
        for name, expected in ((WEIGHTS, facts.weights_file_sha256), (ARRAYS, facts.arrays_file_sha256)):
            if hashlib.sha256((directory / name).read_bytes()).hexdigest() != expected:
                raise ValueError(f"{name} differs from the hash written beside it")
        with np.load(directory / ARRAYS, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except (OSError, ValueError, TypeError, KeyError, BadZipFile) as error:
        logger.warning("The cached workload in %s cannot be used (%s) and is made again.", directory, error)
        return None
    return TrainedFiles(facts=facts, arrays=arrays, weights_path=directory / WEIGHTS)


def write_trained(directory: Path, *, workload_sha256: str, accuracy_ratio: float, arrays: Mapping[str, Array],
                  save_weights: Callable[[Path], None], versions: Mapping[str, str]) -> TrainedFiles:
    """Write an entry whole or not at all; where another process was first, its entry is the one returned.

    Raises WorkloadError where the folder cannot be written.
    """
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{directory.name}-", dir=directory.parent) as scratch:
            made = Path(scratch) / "entry"
            made.mkdir()
            save_weights(made / WEIGHTS)
            np.savez(made / ARRAYS, allow_pickle=False, **dict(arrays))
            facts = TrainedFacts(
                workload_sha256=workload_sha256, accuracy_ratio=accuracy_ratio,
                weights_file_sha256=_synced_sha256(made / WEIGHTS),
                arrays_file_sha256=_synced_sha256(made / ARRAYS), versions=tuple(sorted(versions.items())),
            )
            (made / FACTS).write_text(json.dumps(asdict(facts), indent=1) + "\n", "utf-8")
            _synced_sha256(made / FACTS)
            _publish(made, directory)
    except OSError as error:
        raise WorkloadError(f"The trained model could not be kept in {directory}: {error}. "
                            "Free space there, or set LAB_HOME to a folder that can be written.") from error
    stored = read_trained(directory)
    if stored is None:
        raise WorkloadError(f"The trained model in {directory} cannot be read back. Check the disk.")
    return stored


def _publish(made: Path, directory: Path) -> None:
    """Move an entry into place; a damaged one is pushed aside, a good one from another process stays."""
    if directory.exists() and read_trained(directory) is None:
        shutil.move(directory, made.parent / "damaged")
    try:
        made.rename(directory)
    except OSError:
        if read_trained(directory) is None:
            raise


def _facts(data: Any) -> TrainedFacts:
    facts = TrainedFacts(**data)
    if not isinstance(facts.accuracy_ratio, float) or len(facts.workload_sha256) != 64:
        raise ValueError(f"{FACTS} is not what this version writes")
    return facts


def _synced_sha256(path: Path) -> str:
    """Hash of a file whose bytes are on the disk when this returns."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        return hashlib.file_digest(file, "sha256").hexdigest()
