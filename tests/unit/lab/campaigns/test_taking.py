"""Recordings from another machine: taken once however often they are handed over, put aside where they are gone."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, replace

import pytest

from lab.campaigns.host_spool import HostSpool
from lab.campaigns.next_block import took_s as attempt_took_s
from lab.campaigns.order_json import order_to_json
from lab.campaigns.planning import block_plan
from lab.campaigns.recovery import error_outcome
from lab.campaigns.taking import take_block, take_recordings
from lab.domain.block import BlockManifest, BlockOrder, ManifestEntry
from lab.domain.queue import BlockAttempt, DeviceHealth
from lab.errors import ConnectFailed, StoreError
from lab.store.connection import utc_now
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


def queued_order(services):
    """An order for one block on the board, noted as queued."""
    plan = block_plan([samples.cell()], campaign_id=CAMPAIGN_ID, number=1, attempt=1, inputs={},
                      artifacts={samples.cell().id: "a" * 64}, profile=samples.profile())
    services.store.queue_attempt(BlockAttempt(
        block_id=plan.block_id, attempt=1, campaign_id=CAMPAIGN_ID, device="board", number=1, state="queued",
        expected_ns=None, queued_utc=utc_now()))
    return order_to_json(BlockOrder(campaign_id=CAMPAIGN_ID, target=samples.DEVICE, profile=samples.profile(),
                                    plan=plan))


def test_a_block_of_a_device_that_was_removed_meanwhile_blames_nobody(services):
    """Else one that is added again under the name would begin with a failure; what is next says that it is gone."""
    order = queued_order(services)
    services.store.remove_device("board")
    outcome = {"error": error_outcome(ConnectFailed("nobody there")), "elapsed_ns": 5}
    assert take_block(CAMPAIGN_ID, 1, order, 1, outcome, services, is_current=True) is None
    assert services.store.health("board") == DeviceHealth(device="board")
    assert [(each.state, each.error) for each in services.store.attempts()] == [("failed", "nobody there")]


@pytest.mark.parametrize(("elapsed_ns", "took_s"), [(90 * 10**9, 90), (0, 0), (-10**12, 0), (10**30, 365 * 86_400)])
def test_how_long_a_block_took_is_what_its_worker_counted(services, elapsed_ns, took_s):
    """Not a difference of two clocks; what cannot be is cut to what can."""
    order = queued_order(services)
    manifest = BlockManifest(block_id=order["plan"]["block_id"], device="board", number=1, attempt=1, state="done",
                             error=None, fence=1, entries=())
    outcome = {"manifest": asdict(manifest), "elapsed_ns": elapsed_ns, "owner": "ada"}
    assert take_block(CAMPAIGN_ID, 1, order, 1, outcome, services, is_current=True) is None
    (found,) = services.store.attempts()
    assert attempt_took_s(found) == pytest.approx(took_s, abs=1e-5)
