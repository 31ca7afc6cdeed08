"""Windows arrive once, whole, under their key, whatever dies when."""

import hashlib
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest

from lab.errors import NotFound, ProtocolMismatch, RecordingConflict, RecordingMisplaced, StoreError
from lab.store.store import Store
from tests.support import samples

ID = "c0ffee0123456789"
DATA = samples.recording()
SHA256 = hashlib.sha256(DATA).hexdigest()


def ingest(store, data=DATA, number=0, device="board", campaign_id=ID):
    return store.ingest_window(data, campaign_id=campaign_id, device=device, block_number=number)


def trace_files(store):
    return sorted(path.name for path in store.traces.rglob("*") if path.is_file())


def windows(store):
    return store._rows("SELECT * FROM windows")


def test_a_window_comes_back_as_the_device_sent_it(filled):
    assert ingest(filled)
    (block,) = filled.cell_blocks(samples.cell().id)
    assert (block.block_id, block.number, block.idles) == ("block-1", 0, ())
    assert block.window.sha256 == SHA256
    assert block.window.latency_ns.tolist() == samples.arrays()["latency_ns"].tolist()
    (trace,) = block.window.traces
    assert np.array_equal(trace.t_ns, samples.arrays()["trace0_t"])


def test_the_same_bytes_again_change_nothing(filled):
    assert ingest(filled)
    before = (windows(filled), trace_files(filled))
    assert not ingest(filled)
    assert (windows(filled), trace_files(filled)) == before


def test_other_bytes_under_the_same_key_are_refused_and_the_first_stay(filled):
    ingest(filled)
    with pytest.raises(RecordingConflict, match=r"second copy.*same bytes.*the first one stays.*new attempt"):
        ingest(filled, samples.recording(cpu_ns=1))
    assert trace_files(filled) == [f"{SHA256}.parquet"]
    assert filled.cell_blocks(samples.cell().id)[0].window.sha256 == SHA256


def test_another_cell_under_the_same_key_is_refused(filled):
    ingest(filled)
    with pytest.raises(RecordingConflict, match="same bytes"):
        ingest(filled, samples.recording(cell_id=samples.cell(samples.INT8).id))


def test_idles_belong_to_every_cell_of_their_block(filled):
    for data in (samples.idle_recording(), DATA, samples.recording(cell_id=samples.cell(samples.INT8).id, position=2),
                 samples.idle_recording(position=3)):
        assert ingest(filled, data)
    for cell in filled.cells(ID):
        (block,) = filled.cell_blocks(cell.id)
        assert block.window.cell_id == cell.id
        assert [idle.position for idle in block.idles] == [0, 3]


def test_idles_alone_are_no_block_of_a_cell(filled):
    ingest(filled, samples.idle_recording())
    assert filled.cell_blocks(samples.cell().id) == ()


def test_only_the_latest_attempt_of_a_block_counts(filled):
    ingest(filled, samples.idle_recording(attempt=0))
    ingest(filled, samples.recording(attempt=0))
    ingest(filled, samples.recording(attempt=1, cpu_ns=7))
    (block,) = filled.cell_blocks(samples.cell().id)
    assert (block.window.attempt, block.window.cpu_ns, block.idles) == (1, 7, ())


def test_a_cell_missing_from_the_latest_attempt_has_no_block(filled):
    ingest(filled, samples.recording(attempt=0))
    ingest(filled, samples.recording(attempt=1, position=2, cell_id=samples.cell(samples.INT8).id))
    assert filled.cell_blocks(samples.cell().id) == ()


def block_of(attempt, *cells, **changes):
    """Recordings of one attempt at block-1: an idle, a window of each cell, an idle."""
    windows_of = [samples.recording(attempt=attempt, position=at, cell_id=cell.id, **changes)
                  for at, cell in enumerate(cells, start=1)]
    return [samples.idle_recording(attempt=attempt), *windows_of,
            samples.idle_recording(attempt=attempt, position=len(cells) + 1)]


@pytest.mark.parametrize("is_late", [False, True])
def test_a_whole_attempt_is_superseded_by_the_next_one(filled, is_late):
    """Whichever of the two arrives first."""
    first = block_of(1, *filled.cells(ID), cpu_ns=1)
    second = block_of(2, *filled.cells(ID), cpu_ns=2)
    for data in (*second, *first) if is_late else (*first, *second):
        ingest(filled, data)
    for cell in filled.cells(ID):
        (block,) = filled.cell_blocks(cell.id)
        assert (block.window.attempt, block.window.cpu_ns) == (2, 2)
        assert [(idle.attempt, idle.position) for idle in block.idles] == [(2, 0), (2, 3)]


def test_a_broken_later_attempt_takes_the_whole_block_from_the_cells_it_lacks(filled):
    baseline, int8 = filled.cells(ID)
    for data in (*block_of(1, baseline, int8), *block_of(2, baseline)[:2]):
        ingest(filled, data)
    (block,) = filled.cell_blocks(baseline.id)
    assert (block.window.attempt, [idle.attempt for idle in block.idles]) == (2, [2])
    assert filled.cell_blocks(int8.id) == ()


def test_a_later_attempt_of_idles_alone_leaves_no_cell_a_block(filled):
    for data in (*block_of(1, *filled.cells(ID)), samples.idle_recording(attempt=2)):
        ingest(filled, data)
    assert [filled.cell_blocks(cell.id) for cell in filled.cells(ID)] == [(), ()]


def known_artifact(store, name):
    """Facts of an artifact in the database; returns its SHA-256."""
    sha256 = hashlib.sha256(name.encode()).hexdigest()
    store.save_compressed(samples.WORKLOAD_SHA256, samples.compressed(sha256=sha256), samples.INT8)
    return sha256


def test_windows_of_two_artifacts_are_never_mixed(filled):
    cell = samples.cell(samples.INT8)
    old, new = known_artifact(filled, "old"), known_artifact(filled, "new")
    for number, sha256 in enumerate((old, new, old, new)):
        ingest(filled, samples.idle_recording(block_id=f"block-{number}"), number=number)
        ingest(filled, samples.recording(block_id=f"block-{number}", cell_id=cell.id, artifact_sha256=sha256),
               number=number)
    for current, numbers in ((old, [0, 2]), (new, [1, 3])):
        filled.set_cell_artifact(cell.id, current)
        blocks = filled.cell_blocks(cell.id)
        assert [block.number for block in blocks] == numbers
        assert {block.window.artifact_sha256 for block in blocks} == {current}
        assert [len(block.idles) for block in blocks] == [1, 1]


def test_a_window_that_names_no_artifact_counts_only_while_none_is_known(filled):
    cell = samples.cell(samples.INT8)
    ingest(filled, samples.recording(cell_id=cell.id))
    assert len(filled.cell_blocks(cell.id)) == 1
    filled.set_cell_artifact(cell.id, known_artifact(filled, "new"))
    assert filled.cell_blocks(cell.id) == ()


def test_a_window_of_an_artifact_that_the_cell_does_not_have_yet_does_not_count(filled):
    ingest(filled, samples.recording(artifact_sha256="a" * 64))
    assert filled.cell_blocks(samples.cell().id) == ()
    assert windows(filled)[0]["artifact_sha256"] == "a" * 64


def test_the_latest_attempt_decides_even_if_it_measured_another_artifact(filled):
    cell = samples.cell(samples.INT8)
    filled.set_cell_artifact(cell.id, known_artifact(filled, "new"))
    for attempt, name in ((0, "new"), (1, "old")):
        ingest(filled, samples.recording(cell_id=cell.id, attempt=attempt,
                                         artifact_sha256=known_artifact(filled, name)))
    assert filled.cell_blocks(cell.id) == ()


def test_the_last_number_counts_blocks_whose_windows_do_not(filled):
    baseline, int8 = filled.cells(ID)
    assert filled.last_block_number([baseline.id, int8.id]) == 0
    ingest(filled, samples.recording(block_id="b1", cell_id=int8.id, artifact_sha256="a" * 64), number=4)
    for attempt, cells in ((1, [baseline, int8]), (2, [baseline])):
        for data in block_of(attempt, *cells, block_id="b2")[1:-1]:
            ingest(filled, data, number=7)
    assert filled.cell_blocks(int8.id) == ()
    assert [filled.last_block_number(ids) for ids in ([int8.id], [baseline.id], [], ["unknown"])] == [7, 7, 0, 0]


def test_blocks_come_by_number_whenever_they_arrived(filled):
    for number, block_id in ((1, "aa"), (2, "mm"), (0, "zz")):
        ingest(filled, samples.recording(block_id=block_id), number=number)
    assert [(block.number, block.block_id) for block in filled.cell_blocks(samples.cell().id)] == [
        (0, "zz"), (1, "aa"), (2, "mm")]


def test_a_window_that_failed_is_kept_with_its_error(filled):
    failed = samples.recording(error={"code": "worker_died", "message": "signal 9"}, marks=[])
    assert ingest(filled, failed)
    assert windows(filled)[0]["error"] == "worker_died: signal 9"
    assert filled.cell_blocks(samples.cell().id)[0].window.error == "worker_died: signal 9"


@pytest.mark.parametrize(("change", "text"), [
    ({"number": 5}, "number 0"),
    ({"device": "other"}, "on board"),
    ({"campaign_id": "c2"}, f"campaign {ID}"),
])
def test_a_block_keeps_its_place(filled, change, text):
    filled.save_campaign("c2", samples.campaign(name="second"), samples.WORKLOAD_SHA256, "")
    ingest(filled)
    with pytest.raises(RecordingMisplaced, match=rf"{text}.*put it aside"):
        ingest(filled, samples.recording(position=2), **change)


@pytest.mark.parametrize(("data", "change", "text"), [
    (samples.recording(cell_id="f" * 64), {}, "no campaign has"),
    (DATA, {"campaign_id": "unknown"}, "not in the database"),
])
def test_what_belongs_nowhere_is_refused_before_any_file_is_written(filled, data, change, text):
    with pytest.raises(RecordingMisplaced, match=rf"{text}.*put it aside"):
        ingest(filled, data, **change)
    assert trace_files(filled) == []


@pytest.mark.parametrize("data", [b"", b"JLR1", DATA[:-1], samples.recording(inferences=5),
                                  samples.recording(kind="party")])
def test_unsound_bytes_are_refused_before_any_file_is_written(filled, data):
    with pytest.raises(ProtocolMismatch):
        ingest(filled, data)
    assert trace_files(filled) == []
    assert windows(filled) == []


def test_a_lost_trace_is_a_store_error(filled):
    ingest(filled)
    next(filled.traces.rglob("*.parquet")).unlink()
    with pytest.raises(StoreError, match="cannot read"):
        filled.cell_blocks(samples.cell().id)


KILL = """
import os, pathlib, signal, sys
from lab.store.store import Store

class Dying(Store):
    def _insert_window(self, *values):
        if sys.argv[2] == "in the transaction":
            super()._insert_window(*values)
        os.kill(os.getpid(), signal.SIGKILL)

data = pathlib.Path(sys.argv[3]).read_bytes()
with Dying.open(pathlib.Path(sys.argv[1])) as store:
    store.ingest_window(data, campaign_id=sys.argv[4], device="board", block_number=0)
"""


@pytest.mark.parametrize("moment", ["between file and line", "in the transaction"])
def test_a_process_killed_half_way_leaves_a_file_the_retry_takes_over(filled, tmp_path, moment):
    (tmp_path / "data").write_bytes(DATA)
    killed = subprocess.run([sys.executable, "-c", KILL, str(filled.home), moment, str(tmp_path / "data"), ID],
                            check=False)
    assert killed.returncode == -signal.SIGKILL
    assert windows(filled) == []
    assert filled._rows("SELECT * FROM blocks") == []
    assert filled.cell_blocks(samples.cell().id) == ()
    (orphan,) = filled.traces.rglob("*.parquet")
    inode = orphan.stat().st_ino
    assert ingest(filled)
    assert orphan.stat().st_ino == inode
    assert len(filled.cell_blocks(samples.cell().id)) == 1


class Failing(Store):
    """Raises after the window's line is written and before the transaction ends."""

    def _insert_window(self, *values):
        super()._insert_window(*values)
        raise MemoryError


def test_an_error_inside_the_transaction_leaves_nothing_half_written(filled):
    with Failing.open(filled.home) as failing, pytest.raises(MemoryError):
        ingest(failing)
    assert windows(filled) == []
    assert filled._rows("SELECT * FROM blocks") == []
    assert ingest(filled)


def test_a_damaged_orphan_is_written_again(filled):
    with Failing.open(filled.home) as failing, pytest.raises(MemoryError):
        ingest(failing)
    (orphan,) = filled.traces.rglob("*.parquet")
    orphan.write_bytes(orphan.read_bytes()[:50])
    assert ingest(filled)
    assert filled.cell_blocks(samples.cell().id)[0].window.sha256 == SHA256


def test_two_writers_at_once_keep_one_window(filled):
    outcomes = []

    def write():
        with Store.open(filled.home) as own:
            outcomes.append(ingest(own))

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == [False, False, False, True]
    assert len(windows(filled)) == 1


def test_readers_see_whole_blocks_while_one_writes(filled):
    written = 12
    seen, done = [], threading.Event()

    def read():
        with Store.open(filled.home, read_only=True) as own:
            while not done.is_set():
                seen.append([block.number for block in own.cell_blocks(samples.cell().id)])

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for number in range(written):
        ingest(filled, samples.recording(block_id=f"block-{number}"), number=number)
    done.set()
    for reader in readers:
        reader.join()
    assert seen
    assert all(numbers == list(range(len(numbers))) for numbers in seen)


def test_one_store_may_be_shared_by_threads(filled):
    outcomes = []

    def write(number):
        outcomes.append(ingest(filled, samples.recording(block_id=f"block-{number}"), number=number))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == [True] * 6
    assert len(filled.cell_blocks(samples.cell().id)) == 6


def test_a_reader_in_another_process_needs_nothing_but_the_home(filled):
    ingest(filled)
    code = ("import sys, pathlib\nfrom lab.store.store import Store\n"
            "with Store.open(pathlib.Path(sys.argv[1]), read_only=True) as store:\n"
            "    print(len(store.cell_blocks(sys.argv[2])), store.campaigns()[0].name)")
    out = subprocess.run([sys.executable, "-c", code, str(filled.home), samples.cell().id], capture_output=True,
                         text=True, check=True)
    assert out.stdout.split() == ["1", "first"]


def test_reading_leaves_no_new_file(lab_home, filled):
    ingest(filled)
    filled.close()
    before = sorted(path.name for path in lab_home.rglob("*"))
    with Store.open(lab_home, read_only=True) as reader:
        reader.cell_blocks(samples.cell().id)
        with pytest.raises(NotFound):
            reader.campaign("unknown")
    assert sorted(path.name for path in lab_home.rglob("*") if not path.name.endswith(("-wal", "-shm"))) == before


def test_a_recording_is_known_by_its_hash_once_it_is_kept(filled):
    assert not filled.has_window(SHA256)
    ingest(filled)
    assert filled.has_window(SHA256)
    assert not filled.has_window("0" * 64)


def test_a_recording_damaged_after_it_was_read_is_noticed(filled):
    ingest(filled)
    assert filled.window(SHA256).sha256 == SHA256
    (path,) = filled.traces.rglob("*.parquet")
    path.write_bytes(b"no recording")
    with pytest.raises(StoreError, match="cannot read the recording"):
        filled.window(SHA256)
