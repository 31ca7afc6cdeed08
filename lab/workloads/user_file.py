"""A user's own workload: `path/to/file.py:name`, imported, checked and hashed."""

from __future__ import annotations

import copy
import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from lab.errors import WorkloadError

from .base import (
    CALIBRATION_DEFAULT,
    Array,
    Workload,
    WorkloadData,
    data_arrays,
    evaluation_notes,
    workload_sha256,
)
from .contract import CONTRACT, Parts, check_parts, check_top1, fail, make_score
from .user_code import UserCode
from .user_sources import source_files

if TYPE_CHECKING:
    from torch import nn


def load_user_file(path: Path, name: str) -> Workload:
    """Import the file at `path` and build a workload of what it calls `name`.

    The file runs as a program of the user's does; its folder is on the import path meanwhile. Raises WorkloadError:
    no such file or name, an exception in the file, or a broken contract.
    """
    path = path.resolve()
    where = f"{path}:{name}"
    sources = source_files(path)
    with _importing_from(path.parent, sources):
        given = _object(_import(path), name, path)
    parts = check_parts(given, where)
    with UserCode(f"{where}: the model could not be copied with copy.deepcopy", path):
        model = copy.deepcopy(parts.model).eval()
    output = _forward(model, parts.sample_input, where, path)
    if parts.metric is None and parts.evaluation is not None:
        check_top1(output, parts.evaluation[1], where, "evaluation[1]")
    return _workload(f"{path.stem}:{name}", parts, model, sources, where)


def _import(path: Path) -> ModuleType:
    module_name = f"joulelab_user_{hashlib.sha256(str(path).encode()).hexdigest()[:16]}"
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None:
        raise WorkloadError(f"{path} is not a Python file: expected a name that ends in .py.\n\n{CONTRACT}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module  # dataclasses and copy look a class's module up here
    with UserCode(f"The workload file {path} failed while it was imported", path):
        spec.loader.exec_module(module)
    return module


@contextmanager
def _importing_from(folder: Path, sources: Iterable[str]) -> Iterator[None]:
    """Import from `folder` first, and forget its modules afterwards.

    Two workloads may each have a `model.py` beside them, and a user may edit one between two loads.
    """
    before = set(sys.modules)
    files = {str(folder / name) for name in sources}
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        if str(folder) in sys.path:
            sys.path.remove(str(folder))
        for name in set(sys.modules) - before:
            if getattr(sys.modules[name], "__file__", None) in files:
                del sys.modules[name]


def _object(module: ModuleType, name: str, path: Path) -> object:
    where = f"{path}:{name}"
    if not hasattr(module, name):
        names = sorted(key for key, value in vars(module).items()
                       if not key.startswith("_") and not _is_imported(value, module))
        close = get_close_matches(name, names, 1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise WorkloadError(f"{path} has no name {name!r}.{hint} It defines: {', '.join(names) or 'nothing'}."
                            f"\n\n{CONTRACT}")
    given = getattr(module, name)
    import torch

    if not isinstance(given, torch.nn.Module) and not hasattr(given, "model") and callable(given):
        with UserCode(f"{where}: calling it without arguments failed", path):
            given = given()
    if isinstance(given, torch.nn.Module):
        fail(where, "workload", "an object that has the model as attribute `model`", "the model itself")
    return cast("object", given)


def _is_imported(value: object, module: ModuleType) -> bool:
    if isinstance(value, (type, FunctionType, BuiltinFunctionType)):
        return value.__module__ != module.__name__
    return isinstance(value, ModuleType)


def _forward(model: nn.Module, sample: Array, where: str, path: Path) -> Array:
    import torch

    with UserCode(f"{where}: model(sample_input) failed for input {sample.dtype} {sample.shape}", path), \
            torch.no_grad():
        output: Any = model(torch.from_numpy(sample))
    if not isinstance(output, torch.Tensor):
        fail(where, "model", "one tensor from model(sample_input)", f"a {type(output).__name__}")
    if output.ndim == 0 or output.shape[0] != 1:
        fail(where, "model", "an output of shape (1, ...) for sample_input", f"shape {tuple(output.shape)}")
    if not bool(torch.isfinite(output).all()):
        fail(where, "model", "finite outputs for sample_input", "NaN or infinity")
    return np.asarray(output)


def _workload(name: str, parts: Parts, model: nn.Module, sources: dict[str, bytes], where: str) -> Workload:
    train_inputs, train_targets = parts.train
    calibration = train_inputs[:CALIBRATION_DEFAULT] if parts.calibration is None else parts.calibration
    data = WorkloadData(train_inputs=train_inputs, train_targets=train_targets, calibration_inputs=calibration)
    inputs, targets = parts.evaluation or (None, None)
    arrays = {**_weights(model), **data_arrays(data), "sample_input": parts.sample_input,
              "evaluation_inputs": inputs, "evaluation_targets": targets}
    return Workload(
        name=name, sha256=workload_sha256(sources, arrays), metric_name=parts.metric_name,
        sample_input=parts.sample_input, data=data, evaluation_inputs=inputs, evaluation_targets=targets,
        score=make_score(parts.metric, where), torch_model=lambda: copy.deepcopy(model),
        notes=evaluation_notes(inputs, train_inputs, calibration),
    )


def _weights(model: nn.Module) -> dict[str, Array | None]:
    import torch

    weights: dict[str, Array | None] = {}
    for key, value in model.state_dict().items():
        if isinstance(value, torch.Tensor):
            exact = value.double() if value.dtype is torch.bfloat16 else value
            weights[f"weight:{key}"] = exact.detach().numpy()
        else:
            weights[f"weight:{key}"] = np.frombuffer(repr(value).encode(), np.uint8)
    return weights
