"""Recordings from another machine: taken once however often they are handed over, put aside where they are gone."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from lab.campaigns.host_spool import HostSpool
from lab.campaigns.taking import take_recordings
from lab.domain.block import BlockManifest, ManifestEntry
from lab.errors import StoreError
from lab.store.shared import SharedFiles
from tests.support import samples
from tests.support.campaigns import real_services

CAMPAIGN_ID = "c0ffee0123456789"
DATA = {1: samples.recording(), 0: samples.idle_recording()}
MANIFEST = BlockManifest(
    block_id="block-1", device="board", number=1, attempt=0, state="done", error=None, fence=1,
    entries=tuple(ManifestEntry(cell_id=samples.cell().id if position else "idle", position=position,
                                sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data))
                  for position, data in sorted(DATA.items())))


@pytest.fixture
def services(lab_home, tmp_path):
    """A controller whose campaign measures on a device at another machine; the worker's two recordings are shared."""
    (tmp_path / "shared").mkdir()
    shared = SharedFiles(f"file://{tmp_path / 'shared'}")
    with real_services(lab_home, shared=shared) as made:
        made.store.save_device(samples.DEVICE)
        made.store.save_campaign(CAMPAIGN_ID, samples.campaign(), samples.WORKLOAD_SHA256, "")
        made.store.save_cells(CAMPAIGN_ID, [samples.cell()])
        yield made


def hand_over(services, tmp_path, positions=(0, 1)):
    """What the worker does before it calls."""
    for position in positions:
        file = tmp_path / f"{position}.rec"
        file.write_bytes(DATA[position])
        services.shared.push("recordings", MANIFEST.entries[position].sha256, file)


def kept(services):
    return [services.store.has_window(entry.sha256) for entry in MANIFEST.entries]


def failures(services):
    return [event.message for event in services.store.events(CAMPAIGN_ID)]


def test_recordings_are_taken_and_the_shared_ones_forgotten(services, tmp_path):
    hand_over(services, tmp_path)
    assert kept(services) == [False, False]
    take_recordings(CAMPAIGN_ID, MANIFEST, services, is_shared=True)
    assert kept(services) == [True, True]
    assert services.shared.usage()["recordings"].files == 0
    assert list(HostSpool(services.home / "spool").waiting()) == []


def test_a_block_handed_over_twice_is_taken_once(services, tmp_path):
    """As when the worker's next block ends before the controller has looked at this one."""
    hand_over(services, tmp_path)
    take_recordings(CAMPAIGN_ID, MANIFEST, services, is_shared=True)
    take_recordings(CAMPAIGN_ID, MANIFEST, services, is_shared=True)
    hand_over(services, tmp_path)
    take_recordings(CAMPAIGN_ID, MANIFEST, services, is_shared=True)
    assert services.shared.usage()["recordings"].files == 0
    assert len(services.store.cell_blocks(samples.cell().id)) == 1
    assert failures(services) == []


def test_a_controller_that_died_half_way_takes_the_rest(services, tmp_path):
    """The first recording is stored and no longer shared, the second is still there."""
    hand_over(services, tmp_path)
    take_recordings(CAMPAIGN_ID, replace(MANIFEST, entries=MANIFEST.entries[:1]), services, is_shared=True)
    assert kept(services) == [True, False]
    take_recordings(CAMPAIGN_ID, MANIFEST, services, is_shared=True)
    assert kept(services) == [True, True]
    assert failures(services) == []


def test_recordings_that_are_gone_are_a_failure_with_a_reason_and_not_a_standstill(services, tmp_path):
    """Trying again would not bring them back."""
    hand_over(services, tmp_path, positions=(0,))
    take_recordings(CAMPAIGN_ID, MANIFEST, services, is_shared=True)
    assert kept(services) == [False, False]
    (said,) = failures(services)
    assert MANIFEST.entries[1].sha256 in said
    assert "removed since" in said
    (aside,) = (services.home / "spool/rejected").iterdir()
    assert aside.name in said


def test_shared_files_out_of_reach_are_tried_again(services, tmp_path):
    """Nothing is given up: the same call succeeds once the folder is back."""
    hand_over(services, tmp_path)
    (tmp_path / "shared").rename(tmp_path / "away")
    with pytest.raises(StoreError, match="there is no folder") as caught:
        take_recordings(CAMPAIGN_ID, MANIFEST, services, is_shared=True)
    assert caught.value.transient
    (tmp_path / "away").rename(tmp_path / "shared")
    take_recordings(CAMPAIGN_ID, MANIFEST, services, is_shared=True)
    assert kept(services) == [True, True]
