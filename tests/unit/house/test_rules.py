"""Rules of the house that no linter knows."""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

import pytest

import agents.probes
import agents.runtimes
import compressors
import lab.board.views
import lab.cli.main
import lab.devices.power
import lab.transports
import lab.workloads

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = ("lab", "agents", "compressors", "benchmarks", "tests")
LINES_MAX = 400
REGISTRIES = {
    "PROBES": (agents.probes.PROBES, "agents/probes", {"base", "sysfs", "raw_file"}),
    "RUNTIMES": (agents.runtimes.RUNTIMES, "agents/runtimes", {"base"}),
    "STEPS": (compressors.STEPS, None, set()),
    "SWITCHES": (lab.devices.power.SWITCHES, "lab/devices/power", {"base"}),
    "TRANSPORTS": (lab.transports.TRANSPORTS, None, set()),
    "WORKLOADS": (lab.workloads.WORKLOADS, None, set()),
    "VIEWS": (lab.board.views.VIEWS, "lab/board/views", set()),
    "COMMANDS": (lab.cli.main.COMMANDS, None, set()),
}


def sources(*packages: str) -> list[Path]:
    return [path for package in packages for path in sorted((ROOT / package).rglob("*.py"))]


def test_no_file_is_longer_than_a_reader_can_hold():
    """A file over 400 lines has more than one subject."""
    too_long = {str(path.relative_to(ROOT)): count for path in sources(*PACKAGES)
                if (count := len(path.read_text().splitlines())) > LINES_MAX}
    assert too_long == {}


def test_no_function_is_longer_than_forty_lines_of_code():
    """Docstrings do not count; a longer function hides a name."""
    too_long = []
    for path in sources("lab", "agents", "compressors"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                body = node.body[1:] if ast.get_docstring(node) and len(node.body) > 1 else node.body
                if (node.end_lineno or 0) - body[0].lineno + 1 > 40:
                    too_long.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name}")
    assert too_long == []


@pytest.mark.parametrize("name", REGISTRIES)
def test_every_registry_entry_resolves(name):
    """An entry names a module and something in it."""
    registry, _, _ = REGISTRIES[name]
    assert registry
    for target in registry.values():
        module, attribute = (target if isinstance(target, str) else target[-1]).split(":")
        assert hasattr(importlib.import_module(module), attribute), target


@pytest.mark.parametrize("name", [key for key, (_, folder, _) in REGISTRIES.items() if folder])
def test_every_file_beside_a_registry_is_registered(name):
    """One file, one line: a forgotten line is found here."""
    registry, folder, others = REGISTRIES[name]
    modules = {str(target if isinstance(target, str) else target[-1]).split(":")[0] for target in registry.values()}
    files = {path.stem for path in (ROOT / folder).glob("*.py")} - others - {"__init__"}
    files = {stem for stem in files if not stem.startswith("_")}
    unregistered = {stem for stem in files if f"{folder.replace('/', '.')}.{stem}" not in modules}
    for stem in list(unregistered):  # shared pieces define no probe, runtime, switch or page of their own
        text = (ROOT / folder / f"{stem}.py").read_text()
        if not re.search(r"^class \w*(Probe|Runtime|Switch)\b|^def render\(", text, re.MULTILINE):
            unregistered.discard(stem)
    assert unregistered == set()


def test_no_cuda_packages_are_installed():
    """An nvidia-* package means pip chose a CUDA build of torch: gigabytes nobody asked for."""
    names = {dist.metadata["Name"].lower() for dist in importlib.metadata.distributions()}
    assert [name for name in names if name.startswith("nvidia-")] == []


def test_help_loads_nothing_heavy():
    """`lab --help` must be there at once."""
    code = ("import sys; from lab.cli.main import lab; lab.main(['--help'], standalone_mode=False); "
            "print('LOADED', sorted({'torch','pandas','streamlit','numpy','onnx','sqlite_utils'} & set(sys.modules)))")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert "LOADED []" in done.stdout
    assert "demo" in done.stdout


def test_words_of_other_trades_are_not_used_as_types():
    """One word, one meaning: job, trial and experiment name nothing here."""
    names = [node.name for path in sources("lab", "agents", "compressors")
             for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ClassDef)]
    assert [name for name in names if re.search(r"Job|Trial|Experiment|Task(?!s)", name)] == []


def test_nothing_is_pickled_or_evaluated():
    """Device output and caches are data."""
    found = []
    for path in sources("lab", "agents", "compressors"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import | ast.ImportFrom):
                modules = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
                if {"pickle", "marshal", "shelve", "dill"} & {module.split(".")[0] for module in modules}:
                    found.append(str(path))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"eval", "exec"}:
                found.append(str(path))
    assert found == []
