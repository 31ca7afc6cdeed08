"""From what a campaign file calls its workload to the workload itself."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Literal

from compressors.base import Progress
from lab.errors import WorkloadError

from . import NOTE, WORKLOADS
from .base import Workload

FORMS = "a built-in name ({names}), path/to/file.py:name, model.onnx, or model.onnx+data.npz"


@dataclass(frozen=True, kw_only=True)
class WorkloadSpec:
    """A workload as written in a campaign: which kind, and where its files are."""

    kind: Literal["builtin", "python", "onnx"]
    name: str = ""
    path: Path | None = None
    data_path: Path | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """The files it names."""
        return tuple(path for path in (self.path, self.data_path) if path is not None)

    def __str__(self) -> str:
        if self.kind == "builtin":
            return self.name
        if self.kind == "python":
            return f"{self.path}:{self.name}"
        return f"{self.path}" if self.data_path is None else f"{self.path}+{self.data_path}"


def parse_spec(text: str, base_dir: Path | None = None) -> WorkloadSpec:
    """Take a workload's text apart; relative paths start at `base_dir`. Raises WorkloadError for no known form."""
    def at(part: str) -> Path:
        path = Path(part).expanduser()
        return path if base_dir is None else base_dir / path

    model, plus, data = text.partition(".onnx+")
    if text in WORKLOADS:
        return WorkloadSpec(kind="builtin", name=text)
    if plus and model and data:
        return WorkloadSpec(kind="onnx", path=at(f"{model}.onnx"), data_path=at(data))
    if text.endswith(".onnx"):
        return WorkloadSpec(kind="onnx", path=at(text))
    file, _, name = text.rpartition(":")
    if file.endswith(".py") and name.isidentifier():
        return WorkloadSpec(kind="python", path=at(file), name=name)
    close = get_close_matches(text, WORKLOADS, 1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    if text.endswith((".py", ".py:")):
        hint = f" Which name in the file? Write {text.rstrip(':')}:name."
    raise WorkloadError(f"workload: expected {FORMS.format(names=', '.join(WORKLOADS))}, got {text!r}.{hint}")


def load_workload(spec: str, home: Path, progress: Progress | None = None) -> Workload:
    """The workload a campaign names, ready to use; `home` keeps what is trained or folded together for it.

    Its notes go to `progress`, each behind `NOTE`. Raises WorkloadError.
    """
    workload = _load(parse_spec(spec), home, progress)
    if progress is not None:
        for note in workload.notes:
            progress(NOTE + note, 1.0)
    return workload


def _load(parsed: WorkloadSpec, home: Path, progress: Progress | None) -> Workload:
    if parsed.kind == "python" and parsed.path is not None:
        from .user_file import load_user_file

        return load_user_file(parsed.path, parsed.name)
    if parsed.kind == "onnx" and parsed.path is not None:
        from .onnx_pair import load_onnx_pair

        return load_onnx_pair(parsed.path, parsed.data_path, home)
    module, _, function = WORKLOADS[parsed.name].partition(":")
    load: Callable[[Path, Progress | None], Workload] = getattr(importlib.import_module(module), function)
    return load(home, progress)
