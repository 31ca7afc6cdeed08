"""The queue benchmark's arithmetic, and the sleeping board it times with; its timings are nobody's test."""

import sqlite3
from contextlib import closing

import pytest

from agents.wire.plan import BlockPlan, WindowPlan
from agents.wire.recording import unpack_recording
from benchmarks.queue import measured
from benchmarks.queue_again import counted, row_of_kills, rows_of_again
from benchmarks.queue_pace import idle_row
from benchmarks.queue_size import FULL, QUICK, campaign_of
from benchmarks.sleeping_board import INFERENCES, SleepingBoard
from lab.devices.session import AgentSession
from lab.domain.window_codec import window_from_recording
from tests.support.scripted_agent import bundle

CELL = "c" * 64
PLAN = BlockPlan("b001-x", 1, 1, (WindowPlan(CELL, "a" * 64, None, "onnx_runtime", 1, 1, 1_000_000, 2_000_000, 1),),
                 1_000_000, (), 50.0, 60_000_000_000, ())


@pytest.mark.parametrize(("gaps_s", "ours", "met"), [
    ([0.3, 0.1, 9.0], "0.300 s", True), ([0.31, 0.31, 0.0], "0.310 s", False), ([], "-", False)])
def test_the_median_gap_is_what_counts_and_no_gaps_prove_nothing(gaps_s, ours, met):
    row = idle_row("idle", gaps_s, 0.1, 4)
    assert (row.ours, row.reference, row.met) == (ours, "0.100 s", met)


def test_a_part_that_breaks_off_is_a_target_missed():
    def broken():
        raise RuntimeError("no device")

    (row,) = measured("makespan", broken)
    assert (row.what, row.met) == ("makespan", False)
    assert "no device" in row.note


@pytest.mark.parametrize(("again_s", "windows", "met"), [
    (1.9, (12, 12), (True, True)), (2.0, (12, 12), (False, True)), (1.0, (12, 13), (True, False)),
    (1.0, (0, 0), (True, False))])
def test_again_means_quick_and_nothing_measured_where_something_was(again_s, windows, met):
    before, after = ({"windows": count, "block_attempts": 3} for count in windows)
    rows = rows_of_again("SQLite", 10.0, again_s, before, after)
    assert tuple(row.met for row in rows) == met
    assert rows[1].ours == str(windows[1] - windows[0])


@pytest.mark.parametrize(("code", "said", "ours", "note"), [
    (0, "1 passed in 60s", "0 / 0 / 0", "in 60 s"),
    (1, "E   AssertionError: b1 and b2 overlap\n1 failed", "unknown", "overlap"),
    (0, "SKIPPED [1] postgres was not found\n1 skipped", "unknown", "not found"),
    (5, "", "unknown", "")])
def test_only_a_kill_test_that_passed_says_that_nothing_was_lost(code, said, ours, note):
    row = row_of_kills("SQLite", code, said, 60.0)
    assert (row.ours, row.met) == (ours, ours != "unknown")
    assert note in row.note


def test_lines_are_counted_where_measurements_are_kept(tmp_path):
    with closing(sqlite3.connect(tmp_path / "lab.db")) as database:
        database.executescript("CREATE TABLE windows (x); CREATE TABLE block_attempts (x);"
                               "INSERT INTO windows VALUES (1)")
    assert counted(tmp_path) == {"windows": 1, "block_attempts": 0}


@pytest.mark.parametrize(("size", "cells"), [(FULL, 10_000), (QUICK, 500)])
def test_the_large_campaign_has_the_cells_it_claims(size, cells):
    campaign = campaign_of(size, "model.onnx")
    techniques = {(technique.steps, technique.name) for technique in campaign.techniques}
    assert len(campaign.devices) * len(techniques) * len(set(campaign.settings)) == size.cells == cells


def test_a_sleeping_board_answers_with_sound_windows_of_its_plan():
    board = SleepingBoard(seed=1)
    with AgentSession.open(board.transport(), bundle()) as session:
        for _ in range(2):
            session.release_lease(session.acquire_lease("tests", 60.0))
        fence = session.acquire_lease("tests", 60.0)
        assert session.wait_block("b001-x", 0.0).state == "unknown"
        session.start_block(PLAN, fence)
        assert session.wait_block("b001-x", 10.0).state == "done"
        entries = session.list_spool("b001-x")
        found = [window_from_recording(*unpack_recording(session.fetch(entry)), entry.sha256) for entry in entries]
    assert [(window.kind, window.position, window.cell_id) for window in found] == [
        ("idle", 0, None), ("window", 1, CELL), ("idle", 2, None)]
    assert found[1].inferences == INFERENCES
    assert found[1].artifact_sha256 == "a" * 64
    assert len(board.gaps_s()) == 1
    assert board.gaps_s()[0] > 0
