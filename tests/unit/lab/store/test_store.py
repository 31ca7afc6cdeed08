"""The store as a whole: one folder, safe to share, one transaction at a time."""

import sqlite3
import threading

import pytest

from lab.errors import StoreError
from lab.store.store import Store
from tests.support import samples

ID = "c0ffee0123456789"


def test_everything_lies_under_the_home(lab_home, filled):
    sha256 = filled.artifacts.add_bytes(b"model")
    filled.ingest_window(samples.recording(), campaign_id=ID, device="board", block_number=0)
    assert filled.artifacts.path(sha256).is_relative_to(lab_home / "artifacts")
    assert {path.name for path in lab_home.iterdir()} >= {"lab.db", "artifacts", "traces"}


def test_what_was_saved_is_there_after_closing(lab_home, filled):
    before = (filled.devices(), filled.campaigns(), filled.result_rows())
    filled.close()
    with Store.open(lab_home) as again:
        assert (again.devices(), again.campaigns(), again.result_rows()) == before


def test_leaving_the_block_closes_the_store(lab_home):
    with Store.open(lab_home) as store:
        pass
    with pytest.raises(StoreError, match="cannot read"):
        store.devices()


def test_a_home_with_odd_letters_works(tmp_path):
    home = tmp_path / "Größe 100% #1?x=y"
    with Store.open(home) as store:
        store.save_device(samples.DEVICE)
    with Store.open(home, read_only=True) as reader:
        assert reader.devices() == (samples.DEVICE,)
    assert (home / "lab.db").is_file()


def test_a_writer_sees_its_own_changes_and_a_reader_those_of_others(lab_home, store):
    with Store.open(lab_home, read_only=True) as reader:
        assert reader.devices() == ()
        store.save_device(samples.DEVICE)
        assert store.devices() == reader.devices() == (samples.DEVICE,)


def test_writing_through_a_reader_is_refused(lab_home, filled):
    with Store.open(lab_home, read_only=True) as reader, pytest.raises(StoreError, match="readonly"):
        reader.set_cell_state(ID, samples.cell().id, "done")
    assert samples.cell_states(filled, ID)[samples.cell().id] == ("pending", None)


class RefusesOneCommit:
    """A real database whose disk refuses the first commit, as a full one does, and no later one."""

    def __init__(self, database):
        self._database, self._is_full = database, True

    def commit(self):
        if self._is_full:
            self._is_full = False
            raise sqlite3.OperationalError("database or disk is full")
        self._database.commit()

    def __getattr__(self, name):
        return getattr(self._database, name)


def test_a_commit_that_the_disk_refuses_changes_nothing_and_hides_nothing_written_later(lab_home, filled):
    store = Store(RefusesOneCommit(filled._database), lab_home)
    cell_id = samples.cell().id
    with pytest.raises(StoreError, match="is full"):
        store.set_cell_state(ID, cell_id, "failed", "never")
    store.set_cell_state(ID, cell_id, "done")
    with Store.open(lab_home, read_only=True) as reader:
        assert samples.cell_states(reader, ID)[cell_id] == ("done", None)


def test_an_error_undoes_the_whole_transaction(filled):
    def break_off():
        with filled._transaction():
            filled.set_cell_state(ID, samples.cell().id, "done")
            filled.record_failure(ID, None, "board", "connect", "ConnectFailed", "nobody there")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        break_off()
    assert samples.cell_states(filled, ID)[samples.cell().id] == ("pending", None)
    assert filled.events(ID) == ()


def test_another_thread_waits_for_an_open_transaction(filled):
    inside, seen = threading.Event(), []

    def read():
        inside.wait()
        seen.append(samples.cell_states(filled, ID)[samples.cell().id][0])

    reader = threading.Thread(target=read)
    reader.start()
    with filled._transaction():
        filled.set_cell_state(ID, samples.cell().id, "half done")
        inside.set()
        filled.set_cell_state(ID, samples.cell().id, "done")
    reader.join()
    assert seen == ["done"]


def test_two_writing_processes_take_turns(lab_home, filled):
    """The second connection waits for the first instead of failing."""
    with Store.open(lab_home) as other:
        results = []

        def write():
            other.set_cell_state(ID, samples.cell().id, "second")
            results.append("written")

        writer = threading.Thread(target=write)
        with filled._transaction():
            filled.set_cell_state(ID, samples.cell().id, "first")
            writer.start()
            assert results == []
        writer.join()
    assert results == ["written"]
    assert samples.cell_states(filled, ID)[samples.cell().id][0] == "second"
