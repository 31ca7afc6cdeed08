"""The agent as one runnable file: a zip of the `agents` package, the same bytes every time it is built."""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
import zipfile
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from lab.errors import StoreError
from lab.transports.base import AgentBundle

MAX_BUNDLE_BYTES = 150 * 1024
"""What an agent may weigh: it crosses slow links."""

_PACKAGE = "agents"
_MAIN = "import sys\n\nfrom agents.__main__ import main\n\nsys.exit(main())\n"
_EPOCH = (1980, 1, 1, 0, 0, 0)
_MODE = 0o100644 << 16
_UNIX = 3


def build_bundle(directory: Path) -> AgentBundle:
    """Write `agent-<sha256>.pyz` into the directory unless it is there; raises StoreError if that fails."""
    data = bundle_bytes()
    sha256 = hashlib.sha256(data).hexdigest()
    path = directory / f"agent-{sha256}.pyz"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if not path.is_file() or path.read_bytes() != data:
            _write(path, data)
    except OSError as error:
        raise StoreError(f"agent bundle: {path} cannot be written: {error.strerror}") from None
    return AgentBundle(path=path, sha256=sha256)


def bundle_bytes() -> bytes:
    """Bytes of the zip: fixed order, times and modes, so that its hash names the agent's source and nothing else."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, source in sorted({"__main__.py": _MAIN.encode(), **_sources()}.items()):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = _UNIX
            entry.external_attr = _MODE
            archive.writestr(entry, source)
    return buffer.getvalue()


def _sources() -> dict[str, bytes]:
    return dict(_walk(files(_PACKAGE), _PACKAGE))


def _walk(folder: Traversable, name: str) -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    for child in folder.iterdir():
        path = f"{name}/{child.name}"
        if child.is_dir():
            found += _walk(child, path)
        elif child.name.endswith(".py"):
            found.append((path, child.read_bytes()))
    return found


def _write(path: Path, data: bytes) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".agent-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
