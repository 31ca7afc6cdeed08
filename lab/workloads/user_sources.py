"""Which files a user's workload is made of: its own and what it imports from its own folder."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from lab.errors import WorkloadError

from .contract import CONTRACT

OWN_PACKAGES = ("lab", "agents", "compressors")
"""What the lab itself is made of is no part of a user's workload, even where the file lies in a checkout."""


def source_files(path: Path) -> dict[str, bytes]:
    """The file and what it imports from its own folder, by path relative to it; `main` is the file itself.

    Found by reading import statements, so the answer does not depend on what is already imported. Raises
    WorkloadError where there is no such file.
    """
    if not path.is_file():
        raise WorkloadError(f"The workload file {path} does not exist. Write it as path/to/file.py:name, "
                            f"relative to the campaign file.\n\n{CONTRACT}")
    folder = path.parent
    found: dict[Path, bytes] = {}
    queue = [path]
    while queue:
        current = queue.pop()
        if current not in found:
            found[current] = current.read_bytes()
            queue.extend(_imported(found[current], current, folder))
    return {"main" if file == path else file.relative_to(folder).as_posix(): data
            for file, data in found.items()}


def _imported(source: bytes, file: Path, folder: Path) -> Iterator[Path]:
    """Files under `folder` that `file` imports, and the `__init__.py` of every package on the way."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return  # importing the file reports it, with the line
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _absolute(alias.name, folder)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            module = node.module or ""
            for name in (module, *(f"{module}.{alias.name}" for alias in node.names)):
                yield from _absolute(name, folder)
        elif isinstance(node, ast.ImportFrom):
            yield from _relative(node, file, folder)


def _absolute(name: str, folder: Path) -> Iterator[Path]:
    if name.partition(".")[0] not in OWN_PACKAGES:
        yield from _files_of(name, folder)


def _relative(node: ast.ImportFrom, file: Path, folder: Path) -> Iterator[Path]:
    """What `from ..module import name` means in `file`; nothing above `folder`, where no package can be."""
    start = file.parents[node.level - 1] if node.level <= len(file.parents) else None
    if start is None or not start.is_relative_to(folder):
        return
    yield from _existing(start / "__init__.py")
    module = f"{node.module}." if node.module else ""
    for alias in node.names:
        yield from _files_of(module + alias.name, start)


def _files_of(name: str, start: Path) -> Iterator[Path]:
    parts = name.split(".")
    for depth in range(1, len(parts) + 1):
        base = start.joinpath(*parts[:depth])
        yield from _existing(base.with_suffix(".py"), base / "__init__.py")


def _existing(*files: Path) -> Iterator[Path]:
    yield from (file for file in files if file.is_file())
