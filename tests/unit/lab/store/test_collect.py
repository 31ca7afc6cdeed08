"""What gc removes is named by nothing and old; everything else stays."""

import hashlib
import os
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.errors import ConfigError, StoreError
from lab.store.collect import gc
from lab.store.store import Store
from tests.support import samples

from .conftest import CAMPAIGN_ID

DAY_S = 24 * 3600


@pytest.fixture
def filled(filled):
    """Its campaign has ended."""
    filled.set_campaign_state(CAMPAIGN_ID, "done")
    return filled


def in_days(days):
    """A clock that many days ahead."""
    return lambda: time.time() + days * DAY_S


def collect(store, *, dry_run=False, days=30, keep_days=7):
    return gc(store.home, dry_run=dry_run, keep_days=keep_days, clock=in_days(days))


def add(store, data):
    sha256 = store.artifacts.add_bytes(data)
    return store.artifacts.path(sha256)


def add_named(store, data, technique=samples.INT8):
    path = add(store, data)
    store.save_compressed(samples.WORKLOAD_SHA256, samples.compressed(technique, sha256=path.name), technique)
    return path


def add_trace(store):
    store.ingest_window(samples.recording(), campaign_id=CAMPAIGN_ID, device="board", block_number=0)
    (path,) = store.traces.rglob("*.parquet")
    return path


def orphan_trace(store):
    path = store.traces / "ab" / f"ab{'0' * 62}.parquet"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"orphan")
    return path


def test_old_files_that_nothing_names_go_and_named_ones_stay(filled):
    kept = [add_named(filled, b"named"), add_trace(filled)]
    gone = [add(filled, b"not named"), orphan_trace(filled)]
    found = collect(filled)
    assert found.artifacts == (str(gone[0].relative_to(filled.home)),)
    assert found.traces == (str(gone[1].relative_to(filled.home)),)
    assert (found.half_written, found.freed_bytes, found.is_dry_run) == ((), len(b"not named") + len(b"orphan"), False)
    assert [path.exists() for path in (*kept, *gone)] == [True, True, False, False]
    filled.artifacts.verify(kept[0].name)
    assert len(filled.cell_blocks(samples.cell().id)) == 1


@pytest.mark.parametrize("state", ["pending", "queued", "preparing", "measuring", "waiting", "whatever comes"])
def test_whole_artifacts_stay_while_a_campaign_is_unfinished(filled, state):
    """Its blocks in the queue name sample inputs that the database does not."""
    filled.set_campaign_state(CAMPAIGN_ID, state)
    path, trace = add(filled, b"sample input"), orphan_trace(filled)
    half = path.parent / ".tmp-dead"
    half.write_bytes(b"half")
    found = collect(filled)
    assert (found.kept_for, found.artifacts, len(found.traces), len(found.half_written)) == (("first",), (), 1, 1)
    assert [each.exists() for each in (path, trace, half)] == [True, False, False]
    assert found.freed_bytes == len(b"orphan") + len(b"half")


@pytest.mark.parametrize("state", ["done", "partial", "failed", "cancelled"])
def test_ended_campaigns_keep_nothing(filled, state):
    filled.set_campaign_state(CAMPAIGN_ID, state)
    path = add(filled, b"sample input")
    assert collect(filled).kept_for == ()
    assert not path.exists()


def test_a_dry_run_says_the_same_and_removes_nothing(filled):
    path = add(filled, b"not named")
    would = collect(filled, dry_run=True)
    assert would.is_dry_run
    assert path.exists()
    done = collect(filled)
    assert (would.artifacts, would.traces, would.freed_bytes) == (done.artifacts, done.traces, done.freed_bytes)
    assert not path.exists()
    assert collect(filled).freed_bytes == 0


@pytest.mark.parametrize(("keep_days", "days", "stays"), [
    (7, 6.9, True), (7, 7.1, False), (1, 0, True), (1, 1.1, False)])
def test_a_file_whose_line_may_still_come_stays(filled, keep_days, days, stays):
    path = add(filled, b"just written")
    collect(filled, days=days, keep_days=keep_days)
    assert path.exists() == stays


def test_less_than_a_day_is_refused(filled):
    with pytest.raises(ConfigError, match="at least 1"):
        collect(filled, keep_days=0.9)


def test_a_file_from_the_future_stays(filled):
    path = add(filled, b"a clock was wrong")
    later_s = time.time() + 60 * DAY_S
    os.utime(path, (later_s, later_s))
    collect(filled)
    assert path.exists()


def test_a_hash_inside_json_of_any_table_counts(filled):
    """A baseline, a parent, an order of a later layout: nothing has to be told to gc."""
    inside, parent = add(filled, b"inside json"), add(filled, b"parent")
    filled.record_failure(CAMPAIGN_ID, None, "board", "measure", "block", f'{{"artifact":"{inside.name}"}}')
    filled.save_compressed(samples.WORKLOAD_SHA256, samples.compressed(parent_sha256=parent.name), samples.INT8)
    assert collect(filled).artifacts == ()
    assert inside.exists()
    assert parent.exists()


def test_nothing_else_in_the_home_is_touched(filled):
    sha256 = hashlib.sha256(b"x").hexdigest()
    others = [filled.home / name for name in (
        f"spool/b1/{sha256}.rec", f"spool/{sha256[:2]}/{sha256}", f"cache/{sha256[:2]}/{sha256}/entry.json",
        "known_hosts", f"artifacts/{sha256}", f"artifacts/zz/{sha256}", "artifacts/ab/notes.txt", "traces/README")]
    for path in others:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"mine")
    found = collect(filled)
    assert (found.artifacts, found.traces, found.freed_bytes) == ((), (), 0)
    assert all(path.read_bytes() == b"mine" for path in others)


def test_what_a_killed_process_left_half_written_goes(filled):
    half = add_named(filled, b"named").parent / ".tmp-dead"
    half.write_bytes(b"half")
    assert collect(filled, days=1).half_written == ()
    assert collect(filled).half_written == (str(half.relative_to(filled.home)),)
    assert not half.exists()


def test_links_are_not_followed(filled, tmp_path):
    sha256 = "ab" + "1" * 62
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / sha256).write_bytes(b"theirs")
    filled.artifacts.root.mkdir()
    (filled.artifacts.root / "ab").symlink_to(tmp_path / "elsewhere")
    assert collect(filled).artifacts == ()
    assert (tmp_path / "elsewhere" / sha256).exists()


def test_a_home_without_a_database_keeps_all_it_has(tmp_path):
    """A worker's home: nothing there is named, and all of it is needed."""
    home = tmp_path / "worker"
    path = home / "artifacts" / "ab" / f"ab{'0' * 62}"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"needed")
    with pytest.raises(StoreError, match="no lab database"):
        gc(home, dry_run=False, clock=in_days(30))
    assert path.exists()


def test_what_was_removed_can_be_made_again(filled):
    path = add(filled, b"again")
    collect(filled)
    assert add(filled, b"again") == path
    filled.artifacts.verify(path.name)


@settings(max_examples=25)
@given(st.lists(st.tuples(st.binary(min_size=1, max_size=8), st.booleans()), max_size=6,
                unique_by=lambda each: each[0]))
def test_exactly_the_unnamed_go(tmp_path_factory, files):
    with Store.open(tmp_path_factory.mktemp("home")) as store:
        paths = [(add_named if named else add)(store, data) for data, named in files]
        collect(store)
        assert [path.exists() for path in paths] == [named for _, named in files]
