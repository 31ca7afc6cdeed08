"""Uploads resume where they were safe, are checked before they are kept, and never fill the disk."""

import errno
import hashlib
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.blobs import RESERVE_BYTES, SYNC_BYTES, BlobStore, free_bytes
from agents.errors import Refused
from agents.home import AgentHome
from tests.support.cutting import cut_at


@pytest.fixture
def home(tmp_path):
    home = AgentHome(tmp_path / "home")
    home.create()
    return home


@pytest.fixture
def store(home):
    return BlobStore(home)


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def code_of(work):
    with pytest.raises(Refused) as caught:
        work()
    return caught.value.code


@settings(deadline=None)
@given(st.binary(max_size=2000), st.lists(st.integers(0, 2000), max_size=6))
def test_any_portions_in_order_give_the_file_and_reopening_goes_on_where_it_stopped(tmp_path_factory, data, points):
    home = AgentHome(tmp_path_factory.mktemp("home"))
    store, name = BlobStore(home), sha256(data)
    for start, end in cut_at(len(data), points):
        upload = store.open(name, len(data))
        assert upload.offset_bytes == start
        upload.write(start, data[start:end])
        upload.close()
    upload = store.open(name, len(data))
    upload.commit()
    upload.close()
    assert home.blob(name).read_bytes() == data
    assert not list(home.partial.iterdir())
    assert store.has(name, len(data))


def test_what_was_not_yet_safe_on_disk_is_sent_again(home, store):
    data = b"a" * 100
    upload = store.open(sha256(data), 100)
    upload.write(0, data[:60])
    upload.close()
    with (home.partial / sha256(data)).open("ab") as file:
        file.write(b"written but never synced")
    again = store.open(sha256(data), 100)
    assert again.offset_bytes == 60
    again.write(60, data[60:])
    again.commit()
    again.close()
    assert home.blob(sha256(data)).read_bytes() == data


def test_a_killed_agent_loses_at_most_the_last_stretch(home, store):
    data = bytes(SYNC_BYTES + 1000)
    upload = store.open(sha256(data), len(data) + 1)
    upload.write(0, data)
    assert int((home.partial / f"{sha256(data)}.offset").read_text()) == len(data)
    upload.close()


def test_a_damaged_journal_means_starting_over(home, store):
    upload = store.open(sha256(b"abc"), 3)
    upload.write(0, b"ab")
    upload.close()
    (home.partial / f"{sha256(b'abc')}.offset").write_text("many")
    again = store.open(sha256(b"abc"), 3)
    assert again.offset_bytes == 0
    again.close()


def test_wrong_bytes_are_thrown_away_and_named(home, store):
    name = sha256(b"right")
    upload = store.open(name, 5)
    upload.write(0, b"wrong")
    assert code_of(upload.commit) == "hash_mismatch"
    upload.close()
    assert not store.has(name)
    fresh = store.open(name, 5)
    assert fresh.offset_bytes == 0
    fresh.close()


def test_too_few_bytes_are_told_with_the_offset(store):
    upload = store.open(sha256(b"abc"), 3)
    upload.write(0, b"ab")
    with pytest.raises(Refused) as caught:
        upload.commit()
    assert caught.value.code == "short"
    assert caught.value.extra == {"offset": 2}
    upload.close()


@pytest.mark.parametrize(("offset", "data"), [(1, b"b"), (-1, b"a"), (0, b"abcd"), (2**62, b"a")])
def test_bytes_from_elsewhere_are_refused_once_and_again_at_commit(store, offset, data):
    upload = store.open(sha256(b"abc"), 3)
    assert upload.write(offset, data).code == "short"
    assert upload.write(0, b"abc") is None
    assert code_of(upload.commit) == "short"
    upload.close()


def test_an_upload_that_would_fill_the_disk_is_refused_before_it_starts(home):
    store = BlobStore(home, free=lambda _folder: RESERVE_BYTES + 99)
    assert code_of(lambda: store.open(sha256(b""), 100)) == "no_space"
    store.open(sha256(b""), 99).close()


def test_what_came_before_needs_no_space_again(home):
    data = b"a" * 100
    upload = BlobStore(home).open(sha256(data), 100)
    upload.write(0, data[:50])
    upload.close()
    BlobStore(home, free=lambda _folder: RESERVE_BYTES + 50).open(sha256(data), 100).close()
    tight = BlobStore(home, free=lambda _folder: RESERVE_BYTES + 49)
    assert code_of(lambda: tight.open(sha256(data), 100)) == "no_space"


def test_two_sessions_cannot_write_one_upload(store):
    first = store.open(sha256(b"abc"), 3)
    assert code_of(lambda: store.open(sha256(b"abc"), 3)) == "busy"
    first.close()
    first.close()
    store.open(sha256(b"abc"), 3).close()


def test_a_full_disk_in_the_middle_is_told_at_once_and_at_commit(home, store):
    name = sha256(b"abc")
    upload = store.open(name, 3)
    fail_writes(upload)
    assert upload.write(0, b"abc").code == "no_space"
    assert code_of(upload.commit) == "no_space"
    upload.close()


def fail_writes(upload):
    """Let the upload write to a device that is always full."""
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, upload._file)
    os.close(full)


def test_a_planted_link_in_the_partial_folder_is_not_followed(home, store, tmp_path):
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (home.partial / sha256(b"abc")).symlink_to(victim)
    with pytest.raises(OSError, match=os.strerror(errno.ELOOP)):
        store.open(sha256(b"abc"), 3)
    assert victim.read_bytes() == b"precious"


def test_has_tells_sizes_apart(home, store):
    home.blob("a" * 64).write_bytes(b"abc")
    assert store.has("a" * 64)
    assert store.has("a" * 64, 3)
    assert not store.has("a" * 64, 4)
    assert not store.has("b" * 64)


def test_free_space_is_the_file_systems(tmp_path):
    assert free_bytes(tmp_path) > 0
