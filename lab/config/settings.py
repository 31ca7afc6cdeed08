"""Where the lab keeps its things."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path

from lab.errors import ConfigError

_PACKAGE_ROOT = Path(__file__).resolve().parents[2]


def lab_home(env: Mapping[str, str] = os.environ, package_root: Path = _PACKAGE_ROOT) -> Path:
    """The folder of database, traces, artifacts and caches, as an absolute path; it need not exist yet.

    `LAB_HOME` if set; else `results/` where the lab is used from a checkout; else the platform's folder for user data.
    Raises ConfigError where the path exists and is no folder.
    """
    given = env.get("LAB_HOME", "").strip()
    if given:
        home = Path(given).expanduser().absolute()
    elif is_checkout(package_root):
        home = package_root / "results"
    else:
        from platformdirs import user_data_dir

        home = Path(user_data_dir("joulelab"))
    if home.exists() and not home.is_dir():
        raise ConfigError(f"LAB_HOME: expected a folder, got the file {home}. Set LAB_HOME to another path.")
    return home


def is_checkout(root: Path) -> bool:
    """True where `root` holds the project's own pyproject.toml."""
    try:
        with (root / "pyproject.toml").open("rb") as file:
            project = tomllib.load(file).get("project", {})
    except (OSError, tomllib.TOMLDecodeError):
        return False
    return isinstance(project, dict) and project.get("name") == "joulelab"
