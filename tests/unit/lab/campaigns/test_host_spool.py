"""The host spool keeps windows until they are ingested, and never half of one."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lab.campaigns.host_spool import HostSpool
from lab.domain.block import BlockManifest, BlockOrder, BlockPlan, ManifestEntry, WindowPlan
from lab.domain.device import Device, DeviceProfile
from lab.errors import StoreError


def entry_for(data: bytes, position: int = 1) -> ManifestEntry:
    return ManifestEntry(cell_id="c" * 64, position=position, sha256=hashlib.sha256(data).hexdigest(),
                         size_bytes=len(data))


def order(block_id="b001-1", attempt=1, device="local") -> BlockOrder:
    window = WindowPlan(cell_id="c" * 64, artifact_sha256="a" * 64, inputs_sha256=None, runtime="no_op", threads=1,
                        batch=1, warmup_ns=1, length_ns=2, inferences_min=1)
    plan = BlockPlan(block_id=block_id, number=1, attempt=attempt, windows=(window,), idle_ns=1, probes=("rapl",),
                     sample_rate_hz=10.0, window_deadline_ns=5, state=(("governor", "performance"),))
    return BlockOrder(campaign_id="camp", plan=plan, target=Device(name=device, url="local", profile="x86-host"),
                      profile=DeviceProfile(name="x86-host", title="host", transport="local"))


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


def test_a_promised_block_is_remembered_until_it_is_fulfilled(tmp_path):
    """The order survives the controller, equal to what was asked."""
    HostSpool(tmp_path).promise(order())
    HostSpool(tmp_path).promise(order("b002-2", device="other"))
    assert HostSpool(tmp_path).promised("local") == (order(),)
    HostSpool(tmp_path).fulfil(replace(manifest(), block_id="b001-1"))
    assert HostSpool(tmp_path).promised("local") == ()
    assert HostSpool(tmp_path).promised("other") == (order("b002-2", device="other"),)


def test_attempts_that_failed_are_counted_across_controllers(tmp_path):
    """A device remembers attempts; asking for one it has ended would change nothing."""
    assert HostSpool(tmp_path).next_attempt("b001-1") == 1
    HostSpool(tmp_path).promise(order())
    assert HostSpool(tmp_path).next_attempt("b001-1") == 2
    HostSpool(tmp_path).fulfil(replace(manifest(), block_id="b001-1", state="failed"))
    assert HostSpool(tmp_path).next_attempt("b001-1") == 2
    HostSpool(tmp_path).fulfil(replace(manifest(), block_id="b001-1", state="done"))
    assert HostSpool(tmp_path).next_attempt("b001-1") == 1


def test_a_rejected_block_is_out_of_the_way_but_not_gone(tmp_path):
    """Twice the same name is no reason to overwrite."""
    spool = HostSpool(tmp_path)
    places = []
    for data in (b"first", b"second"):
        entry = entry_for(data)
        spool.keep("b1", entry, data)
        spool.finish("camp", manifest(entry))
        places.append(spool.reject(manifest(entry)))
    assert list(spool.waiting()) == []
    assert [next(place.glob("*.rec")).read_bytes() for place in places] == [b"first", b"second"]


def test_a_fetched_block_can_be_looked_up(tmp_path):
    """Without a manifest there is none; with one it is what was kept."""
    spool = HostSpool(tmp_path)
    assert spool.manifest("b1") is None
    spool.keep("b1", entry_for(b"data"), b"data")
    spool.finish("camp", manifest(entry_for(b"data")))
    assert spool.manifest("b1") == manifest(entry_for(b"data"))
