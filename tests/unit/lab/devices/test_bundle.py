"""The agent as one file: small, reproducible, and all it needs is inside."""

import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from lab.devices.bundle import MAX_BUNDLE_BYTES, build_bundle, bundle_bytes
from lab.errors import StoreError


def test_the_name_is_the_hash_of_the_bytes(tmp_path):
    bundle = build_bundle(tmp_path / "bundles")
    data = bundle.path.read_bytes()
    assert hashlib.sha256(data).hexdigest() == bundle.sha256
    assert bundle.path.name == f"agent-{bundle.sha256}.pyz"
    assert [entry.name for entry in (tmp_path / "bundles").iterdir()] == [bundle.path.name]


def test_it_fits_slow_links():
    assert 0 < len(bundle_bytes()) <= MAX_BUNDLE_BYTES


def test_two_builds_are_the_same_bytes_wherever_they_run(tmp_path):
    code = "from lab.devices.bundle import bundle_bytes; import sys; sys.stdout.buffer.write(bundle_bytes())"
    environment = {**os.environ, "PYTHONPATH": str(Path.cwd()), "TZ": "Asia/Tokyo", "PYTHONHASHSEED": "7"}
    other = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, check=True)
    assert other.stdout == bundle_bytes()


def test_it_holds_sources_only_with_fixed_times_and_modes(tmp_path):
    with zipfile.ZipFile(build_bundle(tmp_path).path) as archive:
        entries = archive.infolist()
        assert archive.testzip() is None
    names = [entry.filename for entry in entries]
    assert names == sorted(names)
    assert "__main__.py" in names
    assert "agents/wire/frames.py" in names
    assert all(name.endswith(".py") and "__pycache__" not in name for name in names)
    assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}
    assert {entry.external_attr >> 16 for entry in entries} == {0o100644}


def test_a_second_build_leaves_the_file_alone(tmp_path):
    first = build_bundle(tmp_path)
    before = first.path.stat().st_mtime_ns
    assert build_bundle(tmp_path) == first
    assert first.path.stat().st_mtime_ns == before


def test_a_damaged_bundle_is_replaced(tmp_path):
    bundle = build_bundle(tmp_path)
    whole = bundle.path.read_bytes()
    bundle.path.write_bytes(whole[:100])
    build_bundle(tmp_path)
    assert bundle.path.read_bytes() == whole


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"agent bundle: .* cannot be written"):
        build_bundle(tmp_path / "file")


def test_it_runs_without_the_lab_installed(tmp_path):
    bundle = build_bundle(tmp_path)
    done = subprocess.run([sys.executable, "-S", "-E", str(bundle.path), "--help"], cwd=tmp_path, capture_output=True,
                          text=True, check=True)
    assert "serve" in done.stdout
