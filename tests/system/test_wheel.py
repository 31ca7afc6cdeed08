"""The wheel is the product: installed alone, far from the checkout, it does the main job."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.system, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel built from a copy of what git tracks, so that leftovers of a build cannot hide a missing file."""
    source = tmp_path_factory.mktemp("source")
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.split(b"\0")
    for name in filter(None, map(os.fsdecode, names)):
        if (ROOT / name).is_file():
            target = source / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((ROOT / name).read_bytes())
    out = tmp_path_factory.mktemp("wheel")
    subprocess.run([sys.executable, "-m", "build", "--wheel", "--outdir", str(out), str(source)], check=True,
                   capture_output=True)
    (built,) = out.glob("joulelab-*.whl")
    return built


def test_the_wheel_holds_packages_and_data_and_nothing_else(wheel):
    """Profiles and the demo campaign travel; tests and benchmarks do not."""
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names if "dist-info" not in name}
    assert tops == {"lab", "agents", "compressors", "profiles"}
    assert "profiles/x86-host.yaml" in names
    assert "lab/config/demo.yaml" in names
    assert "lab/cli/board_app.py" in names


def test_an_empty_venv_runs_the_demo(wheel, tmp_path):
    """Install, demo, results: no checkout, no root, nothing but the wheel and its dependencies."""
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    subprocess.run([str(venv / "bin/python"), "-m", "pip", "install", "-q", "--disable-pip-version-check", "-c",
                    str(ROOT / ".ci/constraints.txt"), str(wheel)], check=True)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    environment["LAB_HOME"] = str(tmp_path / "lab-home")

    def lab(*words):
        return subprocess.run([str(venv / "bin/lab"), *words], cwd=tmp_path, env=environment, text=True,
                              capture_output=True, check=False)

    done = lab("demo")
    assert done.returncode == 0, done.stderr
    rows = json.loads(lab("results", "--json").stdout)["rows"]
    assert len(rows) == 12
    assert {row["device"] for row in rows} == {"local", "virtual-pi4"}
    assert all(row["figures"]["latency_p50_ns"]["value"] > 0 for row in rows)
    energies = [row["figures"]["energy_gross_j"] for row in rows if row["device"] == "virtual-pi4"]
    assert {energy["origin"] for energy in energies} == {"simulated"}
    assert (tmp_path / "lab-home/lab.db").exists()
