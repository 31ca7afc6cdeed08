"""Windows arrive once, whole, under their key, whatever dies when."""

import hashlib
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest

from lab.errors import NotFound, ProtocolMismatch, StoreError
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
    with pytest.raises(StoreError, match="same bytes"):
        ingest(filled, samples.recording(cpu_ns=1))
    assert trace_files(filled) == [f"{SHA256}.parquet"]
    assert filled.cell_blocks(samples.cell().id)[0].window.sha256 == SHA256


def test_another_cell_under_the_same_key_is_refused(filled):
    ingest(filled)
    with pytest.raises(StoreError, match="same bytes"):
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


def test_blocks_come_in_the_order_measured(filled):
    for number, block_id in enumerate(("zz", "aa", "mm")):
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
    with pytest.raises(StoreError, match=text):
        ingest(filled, samples.recording(position=2), **change)


@pytest.mark.parametrize(("data", "change", "text"), [
    (samples.recording(cell_id="f" * 64), {}, "no campaign has"),
    (DATA, {"campaign_id": "unknown"}, "not in the database"),
])
def test_what_belongs_nowhere_is_refused_before_any_file_is_written(filled, data, change, text):
    with pytest.raises(StoreError, match=text):
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
