"""The host spool keeps windows until they are ingested, and never half of one."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lab.campaigns.host_spool import HostSpool
from lab.domain.block import BlockManifest, ManifestEntry
from lab.errors import StoreError


def entry_for(data: bytes, position: int = 1) -> ManifestEntry:
    return ManifestEntry(cell_id="c" * 64, position=position, sha256=hashlib.sha256(data).hexdigest(),
                         size_bytes=len(data))


def manifest(*entries: ManifestEntry, block_id: str = "b1") -> BlockManifest:
    return BlockManifest(block_id=block_id, device="local", number=1, attempt=1, state="done", entries=entries)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(contents=st.lists(st.binary(max_size=200), min_size=1, max_size=5, unique=True))
def test_what_is_kept_is_read_back(tmp_path, contents):
    """Any bytes, any number of windows."""
    spool = HostSpool(tmp_path)
    entries = tuple(entry_for(data, number) for number, data in enumerate(contents))
    for entry, data in zip(entries, contents, strict=True):
        spool.keep("b1", entry, data)
    assert [spool.read("b1", entry) for entry in entries] == contents


def test_wrong_bytes_are_not_kept(tmp_path):
    """The hash is checked before the file gets its name."""
    spool = HostSpool(tmp_path)
    with pytest.raises(StoreError, match="announced hash"):
        spool.keep("b1", entry_for(b"right"), b"wrong")
    assert list(tmp_path.rglob("*.rec")) == []


def test_a_file_changed_on_disk_is_not_used(tmp_path):
    """A window's hash is its identity."""
    spool = HostSpool(tmp_path)
    entry = entry_for(b"data")
    spool.keep("b1", entry, b"data")
    next(tmp_path.rglob("*.rec")).write_bytes(b"dat4")
    with pytest.raises(StoreError, match="changed on disk"):
        spool.read("b1", entry)


def test_a_missing_window_is_an_error_not_an_empty_one(tmp_path):
    """Absent is not zero."""
    with pytest.raises(StoreError, match="cannot be read"):
        HostSpool(tmp_path).read("b1", entry_for(b"data"))


def test_only_finished_blocks_wait(tmp_path):
    """Without a manifest a block is not there: its device still has it."""
    spool = HostSpool(tmp_path)
    spool.keep("b1", entry_for(b"data"), b"data")
    assert list(spool.waiting()) == []
    spool.finish("camp", manifest(entry_for(b"data")))
    assert list(spool.waiting()) == [("camp", manifest(entry_for(b"data")))]


def test_a_dropped_block_is_gone(tmp_path):
    """Nothing is ingested twice, and nothing is left on disk."""
    spool = HostSpool(tmp_path)
    spool.keep("b1", entry_for(b"data"), b"data")
    spool.finish("camp", manifest(entry_for(b"data")))
    spool.drop(manifest(entry_for(b"data")))
    assert list(tmp_path.iterdir()) == []


def test_another_process_finds_what_waits(tmp_path):
    """The spool outlives the controller that filled it."""
    spool = HostSpool(tmp_path)
    spool.keep("b1", entry_for(b"data"), b"data")
    spool.finish("camp", manifest(entry_for(b"data")))
    ((campaign_id, found),) = HostSpool(tmp_path).waiting()
    assert campaign_id == "camp"
    assert HostSpool(tmp_path).read(found.block_id, found.entries[0]) == b"data"
