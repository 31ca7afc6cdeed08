"""Where the lab keeps its things."""

from __future__ import annotations

from pathlib import Path

import pytest
from platformdirs import user_data_dir

from lab.config.settings import is_checkout, lab_home
from lab.errors import ConfigError

ROOT = Path(__file__).resolve().parents[4]


def test_the_environment_goes_first(tmp_path):
    """LAB_HOME need not exist yet."""
    assert lab_home({"LAB_HOME": str(tmp_path / "new")}, ROOT) == tmp_path / "new"


def test_a_relative_or_tilde_path_becomes_absolute():
    """The folder must not change with the working directory of a later process."""
    assert lab_home({"LAB_HOME": "there"}, ROOT) == Path.cwd() / "there"
    assert lab_home({"LAB_HOME": "~/lab"}, ROOT) == Path.home() / "lab"


@pytest.mark.parametrize("env", [{}, {"LAB_HOME": ""}, {"LAB_HOME": "  "}])
def test_in_a_checkout_results_is_the_home(env):
    """What was measured here stays here."""
    assert lab_home(env) == ROOT / "results"
    assert lab_home(env, ROOT) == ROOT / "results"


def test_installed_elsewhere_the_platform_decides(tmp_path):
    """Site-packages is no place for data."""
    assert lab_home({}, tmp_path) == Path(user_data_dir("joulelab"))


def test_a_file_is_no_home(tmp_path):
    """The error says what to change."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="expected a folder, got the file"):
        lab_home({"LAB_HOME": str(tmp_path / "file")}, ROOT)


@pytest.mark.parametrize(("text", "expected"), [
    ('[project]\nname = "joulelab"\n', True), ('[project]\nname = "other"\n', False), ("[tool]\n", False),
    ("project = 3\n", False), ("not toml [", False), (None, False),
])
def test_only_the_projects_own_checkout_counts(tmp_path, text, expected):
    """A user's project that installed the lab is not a checkout of it."""
    if text is not None:
        (tmp_path / "pyproject.toml").write_text(text)
    assert is_checkout(tmp_path) is expected
