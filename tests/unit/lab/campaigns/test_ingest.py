"""Windows go from this host's disk into the database once; what cannot be taken is put aside and named."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from agents.wire import IDLE_CELL
from agents.wire.recording import pack_recording
from lab.campaigns.base import Services
from lab.campaigns.block import host_spool
from lab.campaigns.ingest import ingest, ingest_leftovers
from lab.campaigns.taking import take_recordings
from lab.domain.block import BlockManifest, ManifestEntry
from lab.errors import DiskFull, StoreError
from lab.store.store import Store
from tests.support import samples

CAMPAIGN_ID = "c0ffee0123456789"
CELL = samples.cell()


@pytest.fixture
def services(lab_home):
    heard = []
    with Store.open(lab_home) as store:
        store.save_device(samples.DEVICE)
        store.save_campaign(CAMPAIGN_ID, samples.campaign(), samples.WORKLOAD_SHA256, "")
        store.save_cells(CAMPAIGN_ID, [CELL])
        made = Services(home=lab_home, store=store, bundle=None, transport=None, profile=None, workload=None,
                        compress=None, owner="ada", home_id="home", listener=heard.append)
        yield made


def entry_of(data, position, cell_id):
    return ManifestEntry(cell_id=cell_id, position=position, sha256=hashlib.sha256(data).hexdigest(),
                         size_bytes=len(data))


def fetched(services, *windows, campaign_id=CAMPAIGN_ID, block_id="block-1"):
    """A block in the spool whose windows are (bytes, position, cell)."""
    spool = host_spool(services)
    entries = []
    for data, position, cell_id in windows:
        entry = entry_of(data, position, cell_id)
        spool.keep(block_id, entry, data)
        entries.append(entry)
    manifest = BlockManifest(block_id=block_id, device="board", number=1, attempt=0, state="done",
                             entries=tuple(entries))
    spool.finish(campaign_id, manifest)
    return manifest


def sound(**changes):
    return (samples.recording(**changes), changes.get("position", 1), CELL.id)


def in_spool(services):
    return list(host_spool(services).waiting())


def failures(services):
    return [(event.cell_id, event.message) for event in services.store.events(CAMPAIGN_ID)
            if event.kind == "recording"]


def test_windows_and_idles_are_taken_and_the_spool_is_empty(services):
    """Both new; the idle belongs to no cell."""
    manifest = fetched(services, (samples.idle_recording(), 0, IDLE_CELL), sound())
    assert ingest(CAMPAIGN_ID, manifest, services) == 2
    (block,) = services.store.cell_blocks(CELL.id)
    assert len(block.idles) == 1
    assert in_spool(services) == []
    assert failures(services) == []


def test_the_same_block_twice_is_new_once(services):
    """As after a crash between storing and forgetting."""
    assert ingest(CAMPAIGN_ID, fetched(services, sound()), services) == 1
    assert ingest(CAMPAIGN_ID, fetched(services, sound()), services) == 0
    assert len(services.store.cell_blocks(CELL.id)) == 1


@pytest.mark.parametrize("data", [
    b"", b"not a recording", samples.recording()[:-20], samples.recording(block_id="block-2"),
    samples.recording(cell_id="f" * 64), samples.recording(position=2),
    pack_recording(samples.header(inferences=-1), samples.arrays()),
])
def test_a_window_that_is_not_what_it_should_be_fails_its_cell_alone(services, data):
    """Truncated, of another block, cell or position, or nonsense: it is noted, and the rest is taken."""
    manifest = fetched(services, (samples.idle_recording(), 0, IDLE_CELL), (data, 1, CELL.id))
    assert ingest(CAMPAIGN_ID, manifest, services) == 1
    assert services.store.cell_blocks(CELL.id) == ()
    ((cell_id, message),) = failures(services)
    assert cell_id == CELL.id
    assert message
    assert services.store.cell_states(CAMPAIGN_ID)[CELL.id] == ("failed", message)
    assert in_spool(services) == []


def test_an_idle_that_is_no_recording_fails_no_cell(services):
    """The window beside it counts."""
    manifest = fetched(services, (b"noise", 0, IDLE_CELL), sound())
    assert ingest(CAMPAIGN_ID, manifest, services) == 1
    assert [cell_id for cell_id, _ in failures(services)] == [None]
    assert services.store.cell_states(CAMPAIGN_ID)[CELL.id][0] != "failed"


def test_a_file_that_was_changed_on_disk_leaves_the_block_where_it_is(services):
    """It is not the device's fault, and nothing is thrown away."""
    manifest = fetched(services, sound())
    host_spool(services).window_file("block-1", manifest.entries[0].sha256).write_bytes(b"changed")
    with pytest.raises(StoreError, match="changed on disk"):
        ingest(CAMPAIGN_ID, manifest, services)
    assert host_spool(services).manifest("block-1") == manifest


def test_leftovers_of_an_earlier_process_are_taken(services):
    """All that waits, whichever campaign it is of."""
    fetched(services, sound())
    assert ingest_leftovers(services) == 1
    assert ingest_leftovers(services) == 0
    assert len(services.store.cell_blocks(CELL.id)) == 1


def test_a_leftover_that_the_database_refuses_is_put_aside_and_stops_no_other(services):
    """It is of a campaign that the database does not know."""
    fetched(services, sound(block_id="b-unknown"), campaign_id="gone", block_id="b-unknown")
    fetched(services, sound(block_id="block-2"), block_id="block-2")
    assert ingest_leftovers(services) == 1
    assert in_spool(services) == []
    rejected = services.home / "spool" / "rejected" / "b-unknown-0"
    assert {path.suffix for path in rejected.iterdir()} == {".rec", ".json"}
    (event,) = services.listener.__self__
    assert "b-unknown" in event.text
    assert str(rejected) in event.text


class FullStore:
    """The real store on a disk without space."""

    def __init__(self, store):
        self._store = store

    def ingest_window(self, *_args, **_kwargs):
        raise DiskFull("cannot write the recording: no space left")

    def __getattr__(self, name):
        return getattr(self._store, name)


def test_a_full_disk_puts_nothing_aside(services):
    """The block stays in the spool and is taken once there is space, also by whoever collects what was left."""
    manifest = fetched(services, sound())
    full = replace(services, store=FullStore(services.store))
    for take in (lambda: ingest_leftovers(full),
                 lambda: take_recordings(CAMPAIGN_ID, manifest, full, is_shared=False)):
        with pytest.raises(DiskFull):
            take()
        assert in_spool(services) == [(CAMPAIGN_ID, manifest)]
    take_recordings(CAMPAIGN_ID, manifest, services, is_shared=False)
    assert in_spool(services) == []
    assert len(services.store.cell_blocks(CELL.id)) == 1
    assert not (services.home / "spool/rejected").exists()
