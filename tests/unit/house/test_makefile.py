"""What `make` would do, asked with `make -n`: nothing is installed here."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import need

ROOT = Path(__file__).resolve().parents[3]
CPU = "--extra-index-url https://download.pytorch.org/whl/cpu"


def planned(folder, *words, path=None):
    """Standard output of `make -n` with an environment that does not exist yet; `path` holds the programs found."""
    make = shutil.which("make")
    need("make", make is not None)
    environment = {name: value for name, value in os.environ.items() if name not in {"PY39", "PIP_ARGS", "MAKEFLAGS"}}
    done = subprocess.run([make, "-n", f"VENV={folder / 'venv'}", *words], cwd=ROOT, text=True, capture_output=True,
                          check=True, env=environment | ({"PATH": path} if path else {}))
    return done.stdout


@pytest.fixture
def programs(tmp_path):
    """A path with the system's programs and, before them, those a test adds: name → script (`_` for a dot)."""
    folder = tmp_path / "programs"
    folder.mkdir()

    def write(**scripts):
        for name, text in scripts.items():
            file = folder / name.replace("_", ".")
            file.write_text(f"#!/bin/sh\n{text}\n")
            file.chmod(0o755)
        return f"{folder}:/usr/bin:/bin"

    return write


@pytest.mark.parametrize("target", ["demo", "test", "board"])
def test_pip_arguments_reach_every_install(tmp_path, target):
    """Whoever wants the CPU build of torch says so once."""
    lines = [line for line in planned(tmp_path, target, f"PIP_ARGS={CPU}").splitlines() if " install " in line]
    assert lines
    assert [line for line in lines if CPU not in line] == []


def test_without_them_no_index_but_the_configured_one_is_asked(tmp_path):
    """A machine without that network must not wait for it."""
    assert "index-url" not in planned(tmp_path, "demo")


def test_a_python_that_does_not_start_is_passed_over(tmp_path, programs):
    """pyenv's `python3.9` stands on the path whether or not that version is switched on."""
    real = tmp_path / "pyenv/versions/3.9.18/bin/python"
    real.parent.mkdir(parents=True)
    real.write_text("")
    path = programs(python3_9="exit 127", pyenv=f"echo {tmp_path / 'pyenv'}")
    assert f"{real} -m venv" in planned(tmp_path, "test-py39", path=path)


def test_a_python_that_starts_is_taken(tmp_path, programs):
    """No pyenv needed."""
    path = programs(python3_9="exit 0", pyenv="exit 1")
    assert f"{tmp_path / 'programs/python3.9'} -m venv" in planned(tmp_path, "test-py39", path=path)


def test_no_python_at_all_is_said(tmp_path, programs):
    """And fails only where it is required."""
    path = programs(python3_9="exit 127", pyenv="exit 1")
    assert "no Python 3.9 found" in planned(tmp_path, "test-py39", path=path)
