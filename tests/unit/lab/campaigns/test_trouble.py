"""What happens to a campaign when something goes wrong in the middle: nothing is lost, and nothing pretends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lab import wiring
from lab.campaigns.block import host_spool
from lab.devices.session import AgentSession
from lab.domain.block import BlockManifest, ManifestEntry
from lab.errors import ConfigError, ConnectFailed, DeviceError, HostKeyError
from lab.wiring import queue
from tests.support.campaigns import INT8, INT8_CHANNELS, CutOnce, real_services, small_campaign, write_pair

DATA = Path(__file__).resolve().parents[3] / "data"


@pytest.fixture
def workload(tmp_path):
    return write_pair(tmp_path / "pair")


def finish(services, campaign):
    progress = queue.run_campaign(services, campaign, "")
    return progress, services.store.result_rows(campaign=progress.campaign_id)


def cutting(services, cut):
    return replace(services, transport=lambda device, profile: cut.around(
        wiring.build_transport(device, profile, services.home, services.store)), pause=lambda _seconds: None)


@pytest.mark.parametrize("op", ["block.start", "block.wait", "spool.get", "spool.ack", "lease.release"])
def test_a_link_that_ends_at_any_step_loses_no_window(lab_home, workload, op):
    """Also where the device has already forgotten what this host just fetched."""
    cut = CutOnce(op)
    with real_services(lab_home) as services:
        progress, rows = finish(cutting(services, cut), small_campaign(workload))
        assert cut.happened
        assert progress.state == "done"
        for row in rows:
            blocks = services.store.cell_blocks(row.result.cell_id)
            assert [(block.number, block.window.attempt) for block in blocks] == [(1, 1), (2, 1), (3, 1)]
            assert all(len(block.idles) == 2 for block in blocks)


def test_a_device_that_stays_away_for_a_while_is_waited_for(lab_home, workload):
    """Refused connections after a lost link are retried with pauses, not at once and not for ever."""
    pauses = []
    cut = CutOnce("block.start", refused=3)
    with real_services(lab_home) as services:
        progress, _ = finish(replace(cutting(services, cut), pause=pauses.append), small_campaign(workload))
    assert progress.state == "done"
    assert pauses == [1.0, 2.0, 4.0, 8.0]


def test_a_device_that_never_comes_back_leaves_what_it_measured_and_a_reason(lab_home, workload):
    """One block is in the store; both cells say why there are no more; the state is not done."""
    lost = GoneAfter(blocks=1)
    with real_services(lab_home) as services:
        progress, rows = finish(replace(services, transport=lost.transport(services), pause=lambda _s: None),
                                small_campaign(workload))
        assert progress.state == "waiting"
        assert progress.cells_failed == 0
        for row in rows:
            assert row.state == "held"
            assert "gone for good" in row.failure
            assert row.result.n_blocks == 1
    with real_services(lab_home) as services:
        queue.release_device(services, "local", kick=False)
        progress, rows = finish(services, small_campaign(workload))
        assert progress.state == "done"
        assert {row.result.n_blocks for row in rows} == {3}


def test_what_no_retry_can_help_fails_the_cells_at_once(lab_home, workload):
    """Another host key is for a person to look at: told once, and the device is not set aside for it."""
    asked = []

    def refuse(device, _profile):
        asked.append(device.name)
        raise HostKeyError("the key is another one")

    with real_services(lab_home, transport=refuse) as services:
        progress, rows = finish(services, small_campaign(workload))
        assert (progress.state, progress.cells_failed) == ("failed", 2)
        assert all("the key is another one" in row.failure for row in rows)
        assert asked == ["local"]
        assert services.store.health("local").quarantined_utc is None


class GoneAfter:
    """A device that answers until it has measured `blocks`, and then nobody is there."""

    def __init__(self, blocks):
        self._blocks = blocks

    def transport(self, services):
        def build(device, profile):
            fetched = len(list((services.home / "spool").glob("b*/manifest.json")))
            stored = len(list((services.home / "traces").rglob("*.parquet"))) // 4
            if fetched + stored >= self._blocks:
                raise ConnectFailed("gone for good")
            return wiring.build_transport(device, profile, services.home, services.store)

        return build


def test_windows_that_cannot_be_used_do_not_make_an_endless_campaign(lab_home, workload):
    """Every recording is refused: after two such blocks the cells fail with the reason."""
    with real_services(lab_home) as services:
        progress, rows = finish(replace(services, store=RefusingStore(services.store)), small_campaign(workload))
        assert progress.state == "failed"
        assert all("no usable recording" in row.failure for row in rows)
        assert all("bytes are no recording" in row.failure for row in rows)  # the reason itself, not a hint at one


class RefusingStore:
    """The real store, except that it finds every recording unsound."""

    def __init__(self, store):
        self._store = store

    def ingest_window(self, data, *, campaign_id, device, block_number):
        from lab.errors import ProtocolMismatch

        raise ProtocolMismatch(f"block {block_number} of {campaign_id} on {device}: {len(data)} bytes are no recording")

    def __getattr__(self, name):
        return getattr(self._store, name)


def test_a_block_that_failed_twice_can_be_measured_later(lab_home, workload):
    """Whatever killed it is gone: the next `lab run` starts a third attempt, not the memory of the second."""
    stop = threading.Event()
    killer = threading.Thread(target=kill_blocks, args=(lab_home, stop))
    with real_services(lab_home) as services:
        killer.start()
        progress, rows = finish(services, small_campaign(workload))
        stop.set()
        killer.join()
        assert progress.cells_failed == 2
        assert all("2 times" in row.failure for row in rows)
    with real_services(lab_home) as services:
        progress, rows = finish(services, small_campaign(workload))
        assert progress.state == "done"
        blocks = services.store.cell_blocks(rows[0].result.cell_id)
        assert [block.number for block in blocks] == [1, 2, 3]
        assert blocks[0].window.attempt == 3


def test_a_model_that_answers_nan_fails_with_that_reason(lab_home, tmp_path):
    """No latency of a model that computes nothing is shown; the candidates say why they were not measured."""
    model = tmp_path / "nan.onnx"
    model.write_bytes((DATA / "tiny_nan.onnx").read_bytes())
    np.savez(tmp_path / "nan.npz", sample_input=np.ones((1, 8), np.float32), calibration=np.ones((16, 8), np.float32))
    with real_services(lab_home) as services:
        progress, rows = finish(services, small_campaign(f"{model}+{tmp_path / 'nan.npz'}"))
        assert progress.state == "failed"
        assert progress.cells_failed == 2
        assert "NaN" in rows[0].failure
        assert rows[0].result is None or rows[0].result.latency_p50_ns is None
        assert rows[1].failure


def kill_blocks(home, stop):
    """kill -9 every block process as soon as it exists."""
    killed = set()
    while not stop.is_set():
        for file in (home / "agents/local/blocks").glob("*/block.pid"):
            text = file.read_text()
            if text and text not in killed:
                killed.add(text)
                os.kill(int(text), signal.SIGKILL)
        time.sleep(0.001)


def test_a_block_started_by_a_dead_controller_for_another_campaign_is_collected(lab_home, workload):
    """It was measured, so it is kept, and it does not block the device for the next campaign."""
    code = ("import sys; from pathlib import Path; from lab.wiring import queue\n"
            "from tests.support.campaigns import *\n"
            "with real_services(Path(sys.argv[1])) as s:\n"
            "    queue.run_campaign(s, small_campaign(sys.argv[2]), '')\n")
    controller = subprocess.Popen([sys.executable, "-c", code, str(lab_home), workload])
    while not list((lab_home / "agents/local/blocks").glob("*/worker.pid")):
        time.sleep(0.005)
    controller.kill()
    controller.wait()
    with real_services(lab_home) as services:
        started = host_spool(services).promised("local")
        with queue.open_engine(services) as engine:
            engine.cancel(services.store.campaigns()[0].id)
        progress, rows = finish(services, small_campaign(workload, INT8_CHANNELS, name="another"))
        assert progress.state == "done"
        assert host_spool(services).promised("local") == ()
        assert len(started) == 1
        assert list((lab_home / "spool").glob("b*")) == []
        assert started[0].plan.block_id in {attempt.block_id for attempt in services.store.attempts()}
        assert [row.technique for row in rows] == ["baseline", "int8-channels"]


def test_one_bad_leftover_does_not_stop_every_campaign(lab_home, workload):
    """A block of a campaign the database does not know is put aside and named."""
    with real_services(lab_home) as services:
        data = b"not a recording of anything"
        import hashlib

        entry = ManifestEntry(cell_id="c" * 64, position=1, sha256=hashlib.sha256(data).hexdigest(),
                              size_bytes=len(data))
        spool = host_spool(services)
        spool.keep("b001-old", entry, data)
        spool.finish("gone", BlockManifest(block_id="b001-old", device="local", number=1, attempt=1, state="done",
                                           entries=(replace(entry, sha256="0" * 64),)))
        heard = []
        progress, _ = finish(replace(services, listener=heard.append), small_campaign(workload))
        assert progress.state == "done"
        assert any("rejected" in event.text for event in heard)


def test_an_interrupted_upload_leaves_the_device_free_for_others(lab_home, workload):
    """The lease is given back unless a block runs under it."""
    with real_services(lab_home) as services:
        progress, rows = finish(replace(services, listener=broken_at_stage("upload")), small_campaign(workload))
        assert progress.state == "failed"
        assert all("broken by the test" in row.failure for row in rows)
        device = services.store.device("local")
        profile, _ = services.profile(device.profile)
        with AgentSession.open(services.transport(device, profile), services.bundle()) as session:
            assert session.acquire_lease("somebody else", 5.0) > 0


def broken_at_stage(stage):
    def listen(event):
        if event.stage == stage:
            raise RuntimeError("broken by the test")

    return listen


def test_a_removed_device_cannot_come_back_as_another_machine(lab_home, workload):
    """Its name still stands under results of the machine it was."""
    with real_services(lab_home) as services:
        finish(services, small_campaign(workload))
        facts, _ = services.store.facts("local")
        services.store.save_facts("local", replace(facts, cpu_model="Old processor"))
        services.store.remove_device("local")
        with pytest.raises(DeviceError, match="another machine now"):
            wiring.add_device(services, name="local", url="local", profile=None, python=None, accept_key=None)
        assert services.store.devices() == ()


@pytest.mark.parametrize(("url", "profile"), [("local", "virtual-pi4"), ("virtual:virtual-pi4", "x86-host")])
def test_simulated_and_real_are_never_mixed_in_a_registration(lab_home, url, profile):
    """A real machine's joules must not be called simulated, nor the other way round."""
    with real_services(lab_home) as services, pytest.raises(ConfigError, match="do not fit"):
        wiring.add_device(services, name="mixed", url=url, profile=profile, python=None, accept_key=None)


def test_an_ambiguous_cell_is_not_guessed(lab_home, workload):
    """Two cells answer: the text lists both ids."""
    from lab.domain.campaign import Settings
    from lab.errors import NotFound

    campaign = replace(small_campaign(workload, INT8), settings=(Settings(threads=1), Settings(threads=2)))
    with real_services(lab_home) as services:
        finish(services, campaign)
        with pytest.raises(NotFound, match=r"2 cells answer.*2 threads"):
            wiring.find_cell(services.store, "small/int8/local")
        with pytest.raises(NotFound, match="Expected campaign/technique/device"):
            wiring.find_cell(services.store, "")
