"""Artifacts: what goes in comes out under its hash, whole or not at all."""

import hashlib
import os
import stat
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.errors import StoreError
from lab.store.artifacts import ArtifactStore

DATA = b"a model"
SHA256 = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def artifacts(tmp_path):
    return ArtifactStore(tmp_path / "artifacts")


def files_under(root):
    return sorted(path for path in root.rglob("*") if path.is_file())


def test_bytes_are_found_under_their_hash(artifacts):
    assert artifacts.add_bytes(DATA) == SHA256
    assert artifacts.has(SHA256)
    assert artifacts.path(SHA256).read_bytes() == DATA


def test_adding_twice_leaves_one_untouched_file(artifacts):
    artifacts.add_bytes(DATA)
    before = artifacts.path(SHA256).stat()
    artifacts.add_bytes(DATA)
    after = artifacts.path(SHA256).stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert files_under(artifacts.root) == [artifacts.path(SHA256)]


def test_only_the_owner_can_read(artifacts):
    artifacts.add_bytes(DATA)
    path = artifacts.path(SHA256)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_asking_creates_nothing(artifacts):
    assert not artifacts.has(SHA256)
    assert not artifacts.root.exists()


def test_an_absent_artifact_is_named(artifacts):
    with pytest.raises(StoreError, match=SHA256):
        artifacts.path(SHA256)


@pytest.mark.parametrize("name", ["", "../../etc/passwd", SHA256.upper(), SHA256[:-1], SHA256 + "0", SHA256 + "\n"])
def test_a_name_that_is_no_hash_is_refused(artifacts, name):
    with pytest.raises(StoreError, match="not a SHA-256"):
        artifacts.has(name)


def test_a_root_that_is_a_file_is_a_store_error(tmp_path):
    root = tmp_path / "artifacts"
    root.write_text("in the way")
    with pytest.raises(StoreError, match="cannot write artifact"):
        ArtifactStore(root).add_bytes(DATA)


def test_damage_is_noticed_and_repaired_by_adding_again(artifacts):
    artifacts.add_bytes(DATA)
    artifacts.path(SHA256).write_bytes(b"flipped")
    with pytest.raises(StoreError, match="damaged"):
        artifacts.verify(SHA256)
    artifacts.add_bytes(DATA)
    artifacts.verify(SHA256)
    assert artifacts.path(SHA256).read_bytes() == DATA


def test_a_write_that_fails_leaves_nothing(artifacts):
    in_the_way = artifacts.root / SHA256[:2] / SHA256
    in_the_way.mkdir(parents=True)
    with pytest.raises(StoreError, match="cannot write artifact"):
        artifacts.add_bytes(DATA)
    assert files_under(artifacts.root) == []


def test_several_processes_may_add_the_same_content(artifacts, tmp_path):
    code = ("import sys, pathlib\nfrom lab.store.artifacts import ArtifactStore\n"
            "for _ in range(20): ArtifactStore(pathlib.Path(sys.argv[1])).add_bytes(b'a model' * 10000)")
    writers = [subprocess.Popen([sys.executable, "-c", code, str(artifacts.root)]) for _ in range(3)]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    (path,) = files_under(artifacts.root)
    assert path.name == hashlib.sha256(b"a model" * 10000).hexdigest()
    artifacts.verify(path.name)


def test_importing_the_artifact_store_loads_nothing_heavy():
    heavy = ("numpy", "torch", "pandas", "pyarrow")
    code = f"import sys, lab.store.artifacts; print([name for name in {heavy} if name in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                         env=dict(os.environ))
    assert out.stdout.strip() == "[]"


@given(st.binary(max_size=2000))
def test_any_content_survives(tmp_path_factory, data):
    artifacts = ArtifactStore(tmp_path_factory.mktemp("artifacts"))
    sha256 = artifacts.add_bytes(data)
    assert artifacts.path(sha256).read_bytes() == data
    artifacts.verify(sha256)
