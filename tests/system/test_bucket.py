"""Shared files in a bucket: a server that speaks S3, and our own code with nothing between them but the network."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
import s3fs

from lab.errors import StoreError
from lab.store.shared import SharedFiles, Usage
from tests.support.bucket_server import BucketServer
from tests.support.relay import Relay

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]
DATA = bytes(range(256)) * 500
SHA256 = hashlib.sha256(DATA).hexdigest()
PUSH = ("import sys, pathlib\nfrom lab.store.shared import SharedFiles\n"
        "print(SharedFiles(sys.argv[1]).push('artifacts', sys.argv[2], pathlib.Path(sys.argv[3])))")
MB = 1 << 20
SOME_S = 60.0


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """One server for all tests; each uses a prefix of its own."""
    with BucketServer(tmp_path_factory.mktemp("bucket") / "log") as running:
        yield running


@pytest.fixture(autouse=True)
def environment(server, monkeypatch):
    """As a user sets it: the AWS tools' own variables; fsspec would go on with what it was told before."""
    s3fs.S3FileSystem.clear_instance_cache()
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def url(server, request):
    """A prefix in the bucket that no other test has."""
    return f"s3://{server.bucket}/{hashlib.sha256(request.node.name.encode()).hexdigest()[:8]}"


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model"
    path.write_bytes(DATA)
    return path


def under(server, url):
    """Every object of this prefix, as another program sees it."""
    return [name for name in server.names() if name.startswith(url.removeprefix("s3://"))]


def test_what_is_pushed_is_pulled_read_counted_and_removed(server, url, model, tmp_path):
    shared = SharedFiles(url)
    assert not shared.has("recordings", SHA256)
    assert shared.push("recordings", SHA256, model) == len(DATA)
    assert shared.push("recordings", SHA256, model) == 0
    assert under(server, url) == [f"{url.removeprefix('s3://')}/recordings/{SHA256[:2]}/{SHA256}"]
    assert SharedFiles(url).has("recordings", SHA256)
    shared.pull("recordings", SHA256, tmp_path / "to/copy")
    assert (tmp_path / "to/copy").read_bytes() == shared.read("recordings", SHA256, len(DATA)) == DATA
    assert shared.usage() == {"artifacts": Usage(files=0, size_bytes=0),
                              "recordings": Usage(files=1, size_bytes=len(DATA))}
    for _ in range(2):
        shared.remove("recordings", SHA256)
    assert not shared.has("recordings", SHA256)
    assert under(server, url) == []


def test_what_another_machine_does_is_seen_at_once(server, url, model):
    """Nothing is remembered of an earlier look."""
    one, other = SharedFiles(url), SharedFiles(url)
    assert other.usage()["artifacts"].files == 0
    assert not other.has("artifacts", SHA256)
    one.push("artifacts", SHA256, model)
    assert other.has("artifacts", SHA256)
    assert other.usage()["artifacts"].files == 1
    one.remove("artifacts", SHA256)
    assert not other.has("artifacts", SHA256)


def test_an_absent_object_is_named_with_its_place(url, tmp_path):
    shared = SharedFiles(url)
    for ask in (lambda: shared.pull("artifacts", SHA256, tmp_path / "copy"),
                lambda: shared.read("artifacts", SHA256, 10)):
        with pytest.raises(StoreError, match=f"artifact {SHA256} is not in {url}: .*LAB_SHARED_URL") as caught:
            ask()
        assert not caught.value.transient
    assert list(tmp_path.iterdir()) == []


def test_damage_is_not_believed(server, url, model, tmp_path):
    shared = SharedFiles(url)
    shared.push("artifacts", SHA256, model)
    with server.files().open(under(server, url)[0], "wb") as stream:
        stream.write(DATA[:-1] + b"x")
    with pytest.raises(StoreError, match="damaged"):
        shared.pull("artifacts", SHA256, tmp_path / "to/copy")
    assert list((tmp_path / "to").iterdir()) == []


def test_a_bucket_that_does_not_exist_is_named_whatever_is_asked(server, model, tmp_path):
    """s3fs itself says only of an upload that the bucket is missing, and of all else that the file is."""
    shared = SharedFiles("s3://no-such-bucket/lab")
    for ask in (lambda: shared.push("artifacts", SHA256, model), lambda: shared.has("artifacts", SHA256),
                lambda: shared.pull("artifacts", SHA256, tmp_path / "copy"), shared.usage):
        with pytest.raises(StoreError, match="bucket") as caught:
            ask()
        assert "no-such-bucket" in str(caught.value)
        assert "LAB_SHARED_URL" in str(caught.value)
        assert caught.value.transient
    assert server.files().ls("") == [server.bucket]


def test_a_server_that_is_not_there_is_out_of_reach(url, monkeypatch):
    """Told with what to check, and not as an absent file."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(StoreError, match=r"cannot look for artifact .* Check LAB_SHARED_URL, the network") as caught:
        SharedFiles(url).has("artifacts", SHA256)
    assert caught.value.transient


@pytest.mark.parametrize("size_bytes", [20 * MB, 110 * MB], ids=["in one piece", "in parts"])
def test_an_upload_that_is_killed_leaves_nothing_under_the_final_name(server, url, tmp_path, size_bytes):
    """kill -9 while the network has swallowed a part of it; the next one is whole."""
    path = tmp_path / "model"
    with path.open("wb") as file:
        file.truncate(size_bytes)
    sha256 = hashlib.sha256(bytes(size_bytes)).hexdigest()
    port = int(server.url.rpartition(":")[2])
    with Relay(port, freeze_after_bytes=15 * MB) as relay:
        environment = {**os.environ, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{relay.port}", "PYTHONPATH": str(ROOT)}
        pushing = subprocess.Popen([sys.executable, "-c", PUSH, url, sha256, str(path)], env=environment)
        try:
            assert relay.is_frozen.wait(SOME_S)
            assert pushing.poll() is None
        finally:
            pushing.kill()
            pushing.wait()
    assert under(server, url) == []
    assert not SharedFiles(url).has("artifacts", sha256)
    assert SharedFiles(url).push("artifacts", sha256, path) == size_bytes
    assert server.files().size(under(server, url)[0]) == size_bytes
