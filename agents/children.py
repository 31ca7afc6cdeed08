"""How the agent starts itself again: the same interpreter, the same bundle, another verb."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path
from typing import List

import agents

PACKAGE = Path(os.path.abspath(str(agents.__file__))).parent


def entry() -> Path:
    """The bundle this process runs from, or this package's `__main__.py` in a source tree."""
    top = PACKAGE.parent
    return top if top.is_file() else PACKAGE / "__main__.py"


def command(verb: str, *arguments: str) -> List[str]:
    """A command line for a child; unlike the supervisor it sees site-packages, so numpy can be found."""
    return [sys.executable, "-E", str(entry()), verb, *arguments]


def bundle_sha256() -> str:
    """SHA-256 of the bundle; in a source tree, of its Python files and their names."""
    here = entry()
    if here.parent != PACKAGE:
        return hashlib.sha256(here.read_bytes()).hexdigest()
    digest = hashlib.sha256()
    for path in sorted(PACKAGE.rglob("*.py")):
        digest.update(str(path.relative_to(PACKAGE)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
