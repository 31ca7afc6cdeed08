"""What a block has finished stays until it is acknowledged, and is listed by content."""

import hashlib
from array import array

import pytest

from agents.home import AgentHome
from agents.spool import Spool, SpoolEntry
from agents.wire.recording import pack_recording


@pytest.fixture
def home(tmp_path):
    home = AgentHome(tmp_path / "home")
    home.create()
    return home


def recording(cell_id, values=(1, 2)):
    return pack_recording({"cell_id": cell_id}, {"latency_ns": array("q", values)})


def test_an_empty_home_lists_nothing(tmp_path):
    assert Spool(AgentHome(tmp_path / "nowhere")).entries() == []


def test_entries_come_by_block_attempt_and_position_with_hash_and_size(home):
    spool, data = Spool(home), {}
    for block, attempt, position in [("b", 1, 10), ("b", 1, 9), ("a", 2, 0), ("a", 1, 0)]:
        cell_id = None if position == 0 else f"cell-{position}"
        data[block, attempt, position] = recording(cell_id, [attempt, position])
        spool.add(block, attempt, position, data[block, attempt, position])
    expected = [("a", None, 1, 0), ("a", None, 2, 0), ("b", "cell-9", 1, 9), ("b", "cell-10", 1, 10)]
    assert spool.entries() == [
        SpoolEntry(block, cell, attempt, position, hashlib.sha256(data[block, attempt, position]).hexdigest(),
                   len(data[block, attempt, position])) for block, cell, attempt, position in expected]
    assert [entry.block_id for entry in spool.entries("b")] == ["b", "b"]


def test_another_process_sees_the_same_entries(home):
    Spool(home).add("a", 1, 0, recording(None))
    assert Spool(home).entries() == Spool(home).entries() != []


def test_only_what_is_acknowledged_is_removed_and_empty_folders_go(home):
    spool = Spool(home)
    paths = [spool.add("a", 1, n, recording("c", [n])) for n in range(3)]
    hashes = [entry.sha256 for entry in spool.entries()]
    assert spool.find(hashes[1]) == paths[1]
    assert spool.remove([hashes[0], hashes[2], "f" * 64]) == 2
    assert spool.entries() == [entry for entry in spool.entries() if entry.sha256 == hashes[1]]
    assert spool.holds("a")
    assert spool.remove([hashes[1]]) == 1
    assert not spool.holds("a")
    assert list(home.spool.iterdir()) == []
    assert spool.find(hashes[1]) is None


def test_a_replaced_file_is_hashed_again(home):
    spool = Spool(home)
    spool.add("a", 1, 0, recording("c", [1]))
    before = spool.entries()
    spool.add("a", 1, 0, recording("c", [1, 2, 3]))
    assert spool.entries() != before


@pytest.mark.parametrize("junk", [b"", b"JLR1", b"x" * 100, b"JLR1\xff\xff\xff\xff{", b"JLR1\x02\x00\x00\x00[]"])
def test_a_file_that_is_no_recording_is_listed_for_the_controller_to_judge(home, junk):
    (home.spool / "a").mkdir()
    (home.spool / "a" / "1-2.rec").write_bytes(junk)
    (entry,) = Spool(home).entries()
    assert entry == SpoolEntry("a", None, 1, 2, hashlib.sha256(junk).hexdigest(), len(junk))


def test_files_with_other_names_are_left_alone(home):
    (home.spool / "a").mkdir()
    (home.spool / "a" / ".1-2.rec.17.tmp").touch()
    (home.spool / "a" / "notes.rec").touch()
    assert Spool(home).entries() == []
