"""Inputs for an ONNX session: the workload's sample, or seeded random values of the declared shape."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

from .base import RuntimeRefused, RuntimeSettings

SEED = 0
_TYPES = {
    "tensor(float)": "float32", "tensor(float16)": "float16", "tensor(double)": "float64",
    "tensor(int8)": "int8", "tensor(uint8)": "uint8", "tensor(int16)": "int16", "tensor(uint16)": "uint16",
    "tensor(int32)": "int32", "tensor(uint32)": "uint32", "tensor(int64)": "int64", "tensor(uint64)": "uint64",
    "tensor(bool)": "bool",
}


def sample_inputs(declared: Sequence[Any], settings: RuntimeSettings) -> Tuple[Dict[str, Any], List[str]]:
    """One array per declared input, and a sentence for each whose batch is not the one asked for.

    Raises RuntimeRefused where a sample is missing, has another rank or type, or cannot be read.
    """
    samples = None if settings.inputs is None else _read_samples(settings.inputs)
    arrays: Dict[str, Any] = {}
    adapted: List[str] = []
    for one in declared:
        if one.type not in _TYPES:
            raise RuntimeRefused("error", f"input {one.name!r} is a {one.type}; this agent makes only "
                                          f"{', '.join(_TYPES)}")
        array = _random(one, settings.batch) if samples is None else _sample(one, samples, len(declared))
        arrays[one.name] = _to_batch(array, _fixed_batch(one), settings.batch)
        found = arrays[one.name].shape[0] if arrays[one.name].ndim else 1
        if found != settings.batch:
            adapted.append(f"input {one.name!r}: batch {settings.batch} was asked for, the model takes {found}")
    return arrays, adapted


def _fixed_batch(declared: Any) -> Optional[int]:
    if declared.shape and isinstance(declared.shape[0], int):
        return int(declared.shape[0])
    return None


def _random(declared: Any, batch: int) -> Any:
    import numpy as np

    shape = [size if isinstance(size, int) else (batch if axis == 0 else 1)
             for axis, size in enumerate(declared.shape)]
    generator = np.random.default_rng(SEED)
    dtype = np.dtype(_TYPES[declared.type])
    if dtype.kind == "f":
        return generator.standard_normal(shape).astype(dtype)
    return generator.integers(0, 2, shape).astype(dtype)  # 0 and 1 are valid indices nearly everywhere


def _sample(declared: Any, samples: Dict[str, Any], inputs: int) -> Any:
    import numpy as np

    if declared.name in samples:
        array = samples[declared.name]
    elif inputs == 1 and len(samples) == 1:
        array = next(iter(samples.values()))
    else:
        raise RuntimeRefused("error", f"the sample has no array for input {declared.name!r}; it holds "
                                      f"{', '.join(sorted(samples)) or 'nothing'}")
    if array.dtype != np.dtype(_TYPES[declared.type]):
        raise RuntimeRefused("error", f"input {declared.name!r}: expected {_TYPES[declared.type]}, the sample "
                                      f"holds {array.dtype}")
    fixed = list(enumerate(declared.shape))[1:]
    if array.ndim != len(declared.shape) or any(isinstance(size, int) and array.shape[axis] != size
                                                for axis, size in fixed):
        raise RuntimeRefused("error", f"input {declared.name!r}: the model declares shape {declared.shape}, the "
                                      f"sample has {list(array.shape)}")
    return np.ascontiguousarray(array)


def _to_batch(array: Any, fixed: Optional[int], batch: int) -> Any:
    """The rows repeated in turn up to the batch; a model with a fixed batch gets that."""
    import numpy as np

    rows = batch if fixed is None else fixed
    if array.ndim == 0 or array.shape[0] in (rows, 0):
        return array
    return np.ascontiguousarray(np.take(array, np.arange(rows) % array.shape[0], axis=0))


def _read_samples(path: Path) -> Dict[str, Any]:
    import numpy as np

    try:
        with path.open("rb") as file:
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise ValueError("it holds a single array")
            return {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise RuntimeRefused("corrupt", f"the sample input is not an .npz of plain arrays: {error}") from None
