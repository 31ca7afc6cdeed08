"""Campaigns on the real agent: what is measured is kept, what is done is not repeated, failures stay local."""

from __future__ import annotations

import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace

import pytest

from lab.campaigns.ids import campaign_id_of
from lab.domain.device import Device
from lab.domain.flags import Verdict
from lab.errors import ConnectFailed, NotFound
from lab.reports.json_export import rows_to_json
from lab.wiring import queue
from tests.support.campaigns import INT8, INT8_CHANNELS, CutOnce, real_services, small_campaign, write_pair


@pytest.fixture
def workload(tmp_path):
    return write_pair(tmp_path / "pair")


def finish(services, campaign):
    progress = queue.run_campaign(services, campaign, "")
    return progress, services.store.result_rows(campaign=progress.campaign_id)


def blocks_of(row, services):
    return services.store.cell_blocks(row.result.cell_id)


def test_a_campaign_measures_every_cell_and_compares_it(lab_home, workload):
    """Three blocks of baseline and candidate; latency known, power absent with its reason."""
    with real_services(lab_home) as services:
        progress, rows = finish(services, small_campaign(workload))
        assert (progress.state, progress.cells_done, progress.cells_failed) == ("done", 2, 0)
        baseline, int8 = rows
        assert [row.technique for row in rows] == ["baseline", "int8"]
        for row in rows:
            assert row.result.n_blocks == 3
            assert row.result.latency_p50_ns.value > 0
            assert row.result.memory_peak_bytes > 1_000_000
            assert row.result.energy_gross_j is None
            assert "no_power_source" in {flag.code for flag in row.result.flags}
            assert row.accuracy_ratio is None
        assert baseline.latency_ratio is None
        assert int8.latency_ratio.n_blocks == 3
        assert int8.latency_ratio.low_ratio < int8.latency_ratio.ratio < int8.latency_ratio.high_ratio
        assert int8.artifact_sha256 != baseline.artifact_sha256


def test_a_finished_campaign_is_not_measured_again(lab_home, workload):
    """The second submission touches no device and prints the same bytes."""
    with real_services(lab_home) as services:
        _, first = finish(services, small_campaign(workload))
    stages = []
    with real_services(lab_home, listener=lambda event: stages.append(event.stage)) as services:
        _, second = finish(services, small_campaign(workload))
    assert rows_to_json(first) == rows_to_json(second)
    assert not {"connect", "measure", "compress", "upload"} & set(stages)


def test_a_new_technique_measures_only_itself_beside_the_baseline(lab_home, workload):
    """Old cells keep their blocks; the comparison uses blocks that both share."""
    with real_services(lab_home) as services:
        finish(services, small_campaign(workload))
        _, rows = finish(services, small_campaign(workload, INT8, INT8_CHANNELS, name="wider"))
        by_name = {row.technique: row for row in rows}
        assert {name: row.result.n_blocks for name, row in by_name.items()} == {
            "baseline": 6, "int8": 3, "int8-channels": 3}
        shared = {block.block_id for block in blocks_of(by_name["baseline"], services)}
        for name in ("int8", "int8-channels"):
            assert {block.block_id for block in blocks_of(by_name[name], services)} < shared
            assert by_name[name].latency_ratio.n_blocks == 3


def test_order_differs_between_blocks_and_idles_surround_them(lab_home, workload):
    """Position 0 and the last are idles; the baseline is not always first."""
    with real_services(lab_home) as services:
        _, rows = finish(services, small_campaign(workload, INT8, INT8_CHANNELS))
        positions = {row.technique: [block.window.position for block in blocks_of(row, services)] for row in rows}
        assert all(sorted(together) == [1, 2, 3] for together in zip(*positions.values(), strict=True))
        assert len(set(positions["baseline"])) > 1
        for block in blocks_of(rows[0], services):
            assert [idle.position for idle in block.idles] == [0, 4]
            assert all(idle.inferences == 0 for idle in block.idles)


def test_an_unreachable_device_does_not_touch_the_others(lab_home, workload):
    """Nobody listens on the port: the device is set aside with the reason, the local cells are measured."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        with real_services(lab_home) as services:
            services.store.save_device(Device(name="gone", url=f"ssh://127.0.0.1:{port}", profile="linux-sbc"))
            progress, rows = finish(services, small_campaign(workload, devices=("gone", "local")))
            assert (progress.state, progress.cells_done, progress.cells_failed) == ("waiting", 2, 0)
            assert services.store.health("gone").failures == 3
            assert services.store.health("gone").quarantined_utc
            gone = [row for row in rows if row.device == "gone"]
            assert all(row.result is None and row.state == "held" for row in gone)
            assert all("gone" in row.failure and str(port) in row.failure for row in gone)
            assert all(row.result.n_blocks == 3 for row in rows if row.device == "local")


def test_an_unknown_device_is_refused_before_anything_happens(lab_home, workload):
    """Nothing is written for a campaign that cannot be planned."""
    with real_services(lab_home) as services:
        with pytest.raises(NotFound, match="nowhere"):
            finish(services, small_campaign(workload, devices=("nowhere",)))
        assert services.store.campaigns() == ()


def test_a_technique_that_fails_leaves_the_others_alone(lab_home, tmp_path):
    """No calibration data: int8 fails with the reason, the baseline is measured."""
    with real_services(lab_home) as services:
        progress, rows = finish(services, small_campaign(write_pair(tmp_path / "bare", calibration=False)))
        baseline, int8 = rows
        assert progress.state == "partial"
        assert baseline.result.n_blocks == 3
        assert int8.result is None
        assert "calibration" in int8.failure


def test_a_lost_link_costs_nothing(lab_home, workload):
    """The stream dies while the block is being measured; the next connection collects that same block."""
    cut = CutOnce("block.start")
    with real_services(lab_home) as services:
        original = services.transport
    with real_services(lab_home, transport=lambda device, profile: cut.around(original(device, profile))) as services:
        progress, rows = finish(services, small_campaign(workload))
        assert progress.state == "done"
        assert cut.happened
        blocks = blocks_of(rows[0], services)
        assert [block.window.attempt for block in blocks] == [1, 1, 1]
        assert len(list((lab_home / "agents/local/spool").glob("*/*.rec"))) == 0


def test_a_killed_block_is_measured_again_as_a_new_attempt(lab_home, workload):
    """kill -9 of the measuring process: the first attempt is void, the second one counts."""
    killed = []

    def kill_first_block():
        while not killed:
            for pid_file in (lab_home / "agents/local/blocks").glob("*/worker.pid"):
                block_pid = pid_file.with_name("block.pid")
                if block_pid.exists():
                    os.kill(int(block_pid.read_text()), signal.SIGKILL)
                    killed.append(pid_file.parent.name)
                    return
            time.sleep(0.002)

    with real_services(lab_home) as services:
        killer = threading.Thread(target=kill_first_block, daemon=True)
        killer.start()
        progress, rows = finish(services, small_campaign(workload))
        killer.join()
        assert len(killed) == 1
        assert progress.state == "done"
        attempts = {block.window.attempt for row in rows for block in blocks_of(row, services)}
        assert 2 in attempts
        assert all(row.result.verdict is not Verdict.VOID for row in rows)
        assert any("block" in event.message.lower() for event in services.store.events(progress.campaign_id))


def test_a_killed_controller_goes_on_where_it_stopped(lab_home, workload):
    """kill -9 of the controller in the middle: what was measured is kept, every block is measured once."""
    code = ("import sys, json; from pathlib import Path; from lab.wiring import queue; "
            "from tests.support.campaigns import *; \n"
            "with real_services(Path(sys.argv[1]), listener=lambda e: print(e.stage, e.text, flush=True)) as s:\n"
            "    queue.run_campaign(s, small_campaign(sys.argv[2]), '')\n")
    with subprocess.Popen([sys.executable, "-c", code, str(lab_home), workload], stdout=subprocess.PIPE,
                          text=True) as controller:
        for line in controller.stdout:
            if line.startswith("measure block 2"):
                controller.kill()
                break
    with real_services(lab_home) as services:
        progress, rows = finish(services, small_campaign(workload))
        assert progress.state == "done"
        for row in rows:
            numbers = [block.number for block in blocks_of(row, services)]
            assert numbers == [1, 2, 3]
        assert [path for path in (lab_home / "spool").rglob("*") if path.is_file()] == []


def test_windows_of_two_controllers_on_one_machine_never_overlap(tmp_path, workload):
    """Two campaigns at once, each with its own home: recorded windows and idles are disjoint in time."""
    code = ("import sys; from pathlib import Path; from lab.wiring import queue\n"
            "from tests.support.campaigns import *\n"
            "with real_services(Path(sys.argv[1])) as s:\n"
            "    queue.run_campaign(s, small_campaign(sys.argv[2]), '')\n")
    homes = [tmp_path / "one", tmp_path / "two"]
    controllers = [subprocess.Popen([sys.executable, "-c", code, str(home), workload]) for home in homes]
    assert [controller.wait() for controller in controllers] == [0, 0]
    spans = []
    for home in homes:
        with real_services(home) as services:
            for row in services.store.result_rows():
                for block in blocks_of(row, services):
                    spans += [(window.mark_ns("window_start"), window.mark_ns("window_end"))
                              for window in (block.window, *block.idles)]
    spans = sorted(set(spans))
    assert len(spans) == 2 * 3 * 4
    assert all(first[1] <= second[0] for first, second in itertools.pairwise(spans))


def test_the_same_campaign_has_the_same_id(workload):
    """Whoever submits it, whenever; a different protocol is a different campaign."""
    assert campaign_id_of(small_campaign(workload)) == campaign_id_of(small_campaign(workload))
    assert campaign_id_of(small_campaign(workload)) != campaign_id_of(small_campaign(workload, INT8_CHANNELS))


def test_a_cancelled_campaign_measures_nothing_more(lab_home, workload):
    """Cancel before anybody works: no block is started, and the state says so."""
    with real_services(lab_home) as services, queue.open_engine(services) as engine:
        campaign_id = engine.submit(small_campaign(workload), "")
        engine.cancel(campaign_id)
        queue.see_through(services, engine, campaign_id)
        assert services.store.attempts(campaign_id) == ()
        assert engine.progress(campaign_id).cells_done == 0
        assert services.store.campaign(campaign_id).state == "cancelled"


def test_another_process_can_resume_by_id(lab_home, workload):
    """The store knows what was asked for."""
    with real_services(lab_home) as services:
        campaign_id, _ = finish(services, small_campaign(workload))[0].campaign_id, None
    with real_services(lab_home) as services, queue.open_engine(services) as engine:
        engine.resume(campaign_id)
        queue.see_through(services, engine, campaign_id)
        assert engine.progress(campaign_id).state == "done"


def test_a_name_that_means_another_machine_now_is_refused(lab_home, workload):
    """Results of two machines must not be mixed under one name."""
    with real_services(lab_home) as services:
        finish(services, small_campaign(workload))
        facts, _ = services.store.facts("local")
        services.store.save_facts("local", replace(facts, cpu_model="Another processor"))
        progress, rows = finish(services, small_campaign(workload, INT8_CHANNELS, name="later"))
        failed = [row for row in rows if row.technique == "int8-channels"]
        assert progress.cells_failed == 1
        assert "another machine now" in failed[0].failure


def test_results_as_json_are_complete(lab_home, workload):
    """Full precision, flags and identity for every cell."""
    with real_services(lab_home) as services:
        _, rows = finish(services, small_campaign(workload))
    data = json.loads(rows_to_json(rows))
    assert [row["technique"] for row in data["rows"]] == ["baseline", "int8"]
    assert data["rows"][0]["figures"]["latency_p50_ns"]["value"] == rows[0].result.latency_p50_ns.value


def test_a_device_that_answers_after_an_equal_one_has_finished_is_measured_too(lab_home, workload):
    """The artifacts are made already, under the same names; the late device must not wait for them for ever."""
    with real_services(lab_home) as services:
        services.store.save_device(Device(name="late", url="local", profile="x86-host"))
        original = services.transport

        def late(device, profile):
            done = [state for state, _ in services.store.cell_states(services.store.campaigns()[0].id).values()]
            if device.name == "late" and done.count("done") < 2:
                raise ConnectFailed("not there yet")
            return original(device, profile)

        patient = replace(services, transport=late, backoff=lambda _failures, _seed: 12.0, reconnects_max=0)
        progress, rows = finish(patient, small_campaign(workload, devices=("local", "late")))
        assert progress.state == "done"
        assert [row.result.n_blocks for row in rows] == [3, 3, 3, 3]
        assert len({row.artifact_sha256 for row in rows}) == 2
