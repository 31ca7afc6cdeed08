"""Shared files: what one machine puts there, another gets whole or not at all."""

import hashlib
import os
import stat
import subprocess
import sys
import threading
import uuid
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.errors import StoreError
from lab.store.shared import SharedFiles, Usage, shared_from_env

DATA = b"a model" * 1000
SHA256 = hashlib.sha256(DATA).hexdigest()
WRONG_NAMES = ["", "../../etc/passwd", SHA256.upper(), SHA256[:-1], SHA256 + "0", SHA256 + "\n", f"../{SHA256}"]


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "shared"
    made.mkdir()
    return made


@pytest.fixture(params=["file", "memory"])
def shared(request, folder):
    return SharedFiles(f"file://{folder}" if request.param == "file" else f"memory://{uuid.uuid4().hex}")


@pytest.fixture
def local(folder):
    return SharedFiles(f"file://{folder}")


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model"
    path.write_bytes(DATA)
    return path


def place_in(folder, kind="artifacts"):
    return folder / kind / SHA256[:2] / SHA256


def files_under(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_what_is_pushed_is_pulled_read_counted_and_removed(shared, model, tmp_path):
    assert not shared.has("artifacts", SHA256)
    assert shared.push("artifacts", SHA256, model) == len(DATA)
    assert shared.has("artifacts", SHA256)
    assert not shared.has("recordings", SHA256)
    shared.pull("artifacts", SHA256, tmp_path / "new" / "copy")
    assert (tmp_path / "new" / "copy").read_bytes() == DATA
    assert shared.read("artifacts", SHA256, len(DATA)) == DATA
    assert shared.usage() == {"artifacts": Usage(files=1, size_bytes=len(DATA)),
                              "recordings": Usage(files=0, size_bytes=0)}
    shared.remove("artifacts", SHA256)
    shared.remove("artifacts", SHA256)
    assert not shared.has("artifacts", SHA256)
    assert shared.usage()["artifacts"] == Usage(files=0, size_bytes=0)


def test_pushing_what_is_there_sends_nothing(shared, model):
    shared.push("artifacts", SHA256, model)
    assert shared.push("artifacts", SHA256, model) == 0


def test_it_lies_under_kind_and_hash_and_nothing_else_is_left(local, folder, model):
    local.push("recordings", SHA256, model)
    assert files_under(folder) == [place_in(folder, "recordings")]


@pytest.mark.parametrize("damage", [b"", DATA[:-1], DATA[:-1] + b"x"])
def test_damage_is_refused_and_repaired_by_pushing_again(local, folder, model, tmp_path, damage):
    local.push("artifacts", SHA256, model)
    place_in(folder).write_bytes(damage)
    with pytest.raises(StoreError, match="damaged"):
        local.pull("artifacts", SHA256, tmp_path / "to" / "copy")
    assert files_under(tmp_path / "to") == []
    with pytest.raises(StoreError, match="damaged"):
        local.read("artifacts", SHA256, len(DATA))
    assert local.push("artifacts", SHA256, model) == len(DATA)
    assert local.read("artifacts", SHA256, len(DATA)) == DATA


def test_a_damaged_target_is_replaced_and_a_whole_one_needs_no_network(local, folder, model, tmp_path):
    local.push("artifacts", SHA256, model)
    target = tmp_path / "copy"
    target.write_bytes(b"half")
    local.pull("artifacts", SHA256, target)
    assert target.read_bytes() == DATA
    place_in(folder).unlink()
    local.pull("artifacts", SHA256, target)
    assert target.read_bytes() == DATA


def test_an_absent_file_is_named_with_its_place(shared, tmp_path):
    for ask in (lambda: shared.pull("artifacts", SHA256, tmp_path / "copy"),
                lambda: shared.read("artifacts", SHA256, 10)):
        with pytest.raises(StoreError, match=f"artifact {SHA256} is not in .*LAB_SHARED_URL"):
            ask()
    assert not (tmp_path / "copy").exists()


def test_a_large_file_is_refused_before_it_is_read(shared, model):
    shared.push("artifacts", SHA256, model)
    with pytest.raises(StoreError, match=f"expected at most {len(DATA) - 1}"):
        shared.read("artifacts", SHA256, len(DATA) - 1)


@pytest.mark.parametrize("name", WRONG_NAMES)
def test_a_name_that_is_no_hash_goes_nowhere(shared, model, tmp_path, name):
    for ask in (lambda: shared.push("artifacts", name, model), lambda: shared.has("artifacts", name),
                lambda: shared.pull("artifacts", name, tmp_path / "copy"), lambda: shared.remove("artifacts", name),
                lambda: shared.read("artifacts", name, 10)):
        with pytest.raises(StoreError, match="not a SHA-256"):
            ask()


def test_a_kind_that_is_none_goes_nowhere(shared):
    with pytest.raises(StoreError, match="artifacts or recordings"):
        shared.has("../home", SHA256)


def test_a_file_that_is_not_what_its_name_says_is_not_shared(local, folder, tmp_path):
    (tmp_path / "other").write_bytes(b"other")
    with pytest.raises(StoreError, match=f"expected content of SHA-256 {SHA256}"):
        local.push("artifacts", SHA256, tmp_path / "other")
    with pytest.raises(StoreError, match="cannot read"):
        local.push("artifacts", SHA256, tmp_path / "absent")
    assert files_under(folder) == []


def test_a_missing_folder_is_a_missing_mount_not_a_new_folder(tmp_path, model):
    shared = SharedFiles(f"file://{tmp_path}/unmounted")
    for ask in (lambda: shared.push("artifacts", SHA256, model), lambda: shared.has("artifacts", SHA256),
                lambda: shared.pull("artifacts", SHA256, tmp_path / "to"), shared.usage,
                lambda: shared.remove("artifacts", SHA256)):
        with pytest.raises(StoreError, match="mount it") as caught:
            ask()
        assert caught.value.transient
    assert not (tmp_path / "unmounted").exists()


def test_a_disk_that_refuses_is_a_store_error_and_leaves_nothing(local, folder, model):
    place_in(folder).mkdir(parents=True)
    with pytest.raises(StoreError, match="cannot put artifact") as caught:
        local.push("artifacts", SHA256, model)
    assert caught.value.transient
    assert files_under(folder) == []


@pytest.mark.parametrize("mode", [0o700, 0o2770, 0o755])
def test_what_is_inside_has_the_rights_of_the_shared_folder(local, folder, model, mode):
    folder.chmod(mode)
    local.push("artifacts", SHA256, model)
    place = place_in(folder)
    assert {stat.S_IMODE(each.stat().st_mode) for each in (place.parent, place.parent.parent)} == {mode}
    assert stat.S_IMODE(place.stat().st_mode) == mode & 0o666


def test_a_pulled_file_is_private(local, model, tmp_path):
    local.push("artifacts", SHA256, model)
    local.pull("artifacts", SHA256, tmp_path / "copy")
    assert stat.S_IMODE((tmp_path / "copy").stat().st_mode) == 0o600


@pytest.mark.parametrize("url", [
    "/srv/lab", "srv", "file://srv/lab", "file:///", "file:/srv", "ftp://host/x", "http://host/x", "s3://", "s3:///x",
    "memory://", "simplecache::s3://bucket/x", "s3://bucket/x::file:///etc", "zip://x",
])
def test_an_address_that_is_none_says_which_are(url):
    with pytest.raises(StoreError, match=r"LAB_SHARED_URL.*file:///FOLDER"):
        SharedFiles(url)


@pytest.mark.parametrize("url", ["s3://key:secret@bucket/x", "s3://key@bucket", "sftp://ada:secret@host/x"])
def test_a_password_in_the_address_is_refused_and_not_repeated(url):
    with pytest.raises(StoreError, match="leave it out") as caught:
        SharedFiles(url)
    assert "secret" not in str(caught.value)


def test_a_bucket_without_what_speaks_to_it_says_what_to_install(tmp_path):
    (tmp_path / "s3fs.py").write_text("raise ImportError('not here')")
    code = ("from lab.store.shared import SharedFiles\nfrom lab.errors import StoreError\n"
            "try: SharedFiles('s3://bucket/lab')\nexcept StoreError as error: print(error)")
    env = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{Path.cwd()}"}
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    assert "pip install 'joulelab[s3]'" in out.stdout


def test_the_environment_names_them_or_there_are_none(folder):
    assert shared_from_env({}) is None
    assert shared_from_env({"LAB_SHARED_URL": "  "}) is None
    found = shared_from_env({"LAB_SHARED_URL": f" file://{folder} "})
    assert found is not None
    assert found.url == f"file://{folder}"


def test_what_another_machine_put_there_is_seen_at_once(folder, model):
    one, other = SharedFiles(f"file://{folder}"), SharedFiles(f"file://{folder}")
    assert other.usage()["artifacts"].files == 0
    one.push("artifacts", SHA256, model)
    assert other.has("artifacts", SHA256)
    assert other.usage()["artifacts"].files == 1


def test_half_written_files_count_for_nothing(local, folder, model):
    local.push("artifacts", SHA256, model)
    (place_in(folder).parent / ".tmp-dead").write_bytes(b"half")
    assert local.usage()["artifacts"] == Usage(files=1, size_bytes=len(DATA))


def test_a_reader_never_sees_half_a_file(folder, tmp_path):
    blobs = {hashlib.sha256(data).hexdigest(): data for data in (os.urandom(3_000_000) for _ in range(4))}
    is_done = threading.Event()
    seen = []

    def watch():
        reader = SharedFiles(f"file://{folder}")
        while not is_done.is_set():
            for sha256, data in blobs.items():
                if reader.has("recordings", sha256):
                    seen.append(reader.read("recordings", sha256, len(data)) == data)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        for sha256, data in blobs.items():
            (tmp_path / sha256).write_bytes(data)
            assert SharedFiles(f"file://{folder}").push("recordings", sha256, tmp_path / sha256) == len(data)
    finally:
        is_done.set()
        watcher.join()
    assert all(seen)
    assert SharedFiles(f"file://{folder}").usage()["recordings"].files == 4


def test_several_processes_may_push_the_same_file(folder, model):
    code = ("import sys, pathlib\nfrom lab.store.shared import SharedFiles\n"
            "SharedFiles(sys.argv[1]).push('artifacts', sys.argv[2], pathlib.Path(sys.argv[3]))")
    writers = [subprocess.Popen([sys.executable, "-c", code, f"file://{folder}", SHA256, str(model)])
               for _ in range(3)]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    assert files_under(folder) == [place_in(folder)]


def test_importing_loads_no_filesystem():
    code = "import sys, lab.store.shared; print([n for n in ('fsspec', 's3fs', 'pyarrow') if n in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


@given(st.binary(max_size=3000))
def test_any_content_survives(tmp_path_factory, data):
    here = tmp_path_factory.mktemp("shared")
    sha256 = hashlib.sha256(data).hexdigest()
    (here / "source").write_bytes(data)
    shared = SharedFiles(f"file://{here}")
    assert shared.push("recordings", sha256, here / "source") == len(data)
    shared.pull("recordings", sha256, here / "copy")
    assert (here / "copy").read_bytes() == data
    assert shared.push("recordings", sha256, here / "copy") == 0


@given(st.text(max_size=80))
def test_no_name_leaves_the_folder(tmp_path_factory, name):
    here = tmp_path_factory.mktemp("shared")
    (here / "source").write_bytes(b"x")
    (here / "lab").mkdir()
    with pytest.raises(StoreError):
        SharedFiles(f"file://{here}/lab").push("artifacts", name, here / "source")
    assert files_under(here) == [here / "source"]
