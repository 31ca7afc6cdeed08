"""LAB_SHARED_URL set on one side only: whoever lacks it is named, no device is blamed, and setting it is enough."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, replace

import pytest

from lab.campaigns.host_spool import HostSpool
from lab.campaigns.order_json import order_from_json
from lab.campaigns.recovery import error_outcome
from lab.domain.block import BlockManifest, ManifestEntry
from lab.errors import SharedFilesMissing
from lab.store.shared import SharedFiles
from lab.store.store import Store
from lab.wiring.queue import _fetched
from tests.support import samples
from tests.support.controller_bench import Bench

ELSEWHERE, HERE = "ada@site-b:another-home", "ada@host:home"


@pytest.fixture
def shared(tmp_path):
    (tmp_path / "shared").mkdir()
    return SharedFiles(f"file://{tmp_path / 'shared'}")


@pytest.fixture
def store(lab_home):
    with Store.open(lab_home) as opened:
        yield opened


def without_shared(bench):
    """The same controller, started without LAB_SHARED_URL."""
    bench.controller.services = replace(bench.services, shared=None)


def with_shared(bench):
    """Started again with it."""
    bench.controller.services = bench.services


def recording_of(call):
    window = call.args[2]["plan"]["windows"][0]
    return samples.recording(block_id=call.args[2]["plan"]["block_id"], cell_id=window["cell_id"], attempt=1,
                             artifact_sha256=window["artifact_sha256"])


def ended(call, *, owner, shared):
    """What a worker says of a block that is done; its one recording lies where the worker has put it."""
    plan, data = call.args[2]["plan"], recording_of(call)
    entry = ManifestEntry(cell_id=plan["windows"][0]["cell_id"], position=1, size_bytes=len(data),
                          sha256=hashlib.sha256(data).hexdigest())
    manifest = BlockManifest(block_id=plan["block_id"], device=call.device, number=plan["number"], attempt=1,
                             state="done", error=None, fence=1, entries=(entry,))
    return {"manifest": asdict(manifest), "shared": shared, "owner": owner, "elapsed_ns": 1}


def check_waits(bench, call, calls, *words):
    """The same block is asked for again soon, as the same attempt; the device is well, and its cells say why."""
    (again,) = calls
    assert (again.name, again.device, again.args[2]) == ("block", call.device, call.args[2])
    assert again.delay_s > 0
    states, reasons = bench.cells(call.device)
    assert states == {"waiting"}
    (text,) = reasons
    assert all(word in text for word in words), text
    assert bench.store.health(call.device).failures == 0
    assert {attempt.state for attempt in bench.store.attempts(bench.id, call.device)} == {"queued"}


def put(shared, tmp_path, data):
    file = tmp_path / "file"
    file.write_bytes(data)
    shared.push("recordings", hashlib.sha256(data).hexdigest(), file)


class TestRecordings:
    def test_a_worker_elsewhere_without_them_is_named(self, store, shared):
        bench = Bench(store, shared=shared)
        call = bench.measuring()["board"][0]
        calls = bench.ingested(call, ended(call, owner=ELSEWHERE, shared=False))
        check_waits(bench, call, calls, f"LAB_SHARED_URL is not set at the worker of board ({ELSEWHERE})",
                    "Nothing is lost")

    def test_a_controller_without_them_is_named_and_takes_them_once_it_is_told(self, store, shared, tmp_path):
        bench = Bench(store, shared=shared)
        call = bench.measuring()["board"][0]
        put(shared, tmp_path, recording_of(call))
        without_shared(bench)
        calls = bench.ingested(call, ended(call, owner=ELSEWHERE, shared=True))
        check_waits(bench, call, calls, "LAB_SHARED_URL is not set at the controller")
        with_shared(bench)
        bench.ingested(call, ended(call, owner=ELSEWHERE, shared=True))
        assert len(bench.stored(call)) == 1

    def test_a_worker_of_the_same_home_needs_none(self, store):
        bench = Bench(store)
        call = bench.measuring()["board"][0]
        outcome = ended(call, owner=HERE, shared=False)
        spool, order = HostSpool(store.home / "spool"), order_from_json(call.args[2])
        entry = ManifestEntry(**outcome["manifest"]["entries"][0])
        spool.keep(order.plan.block_id, entry, recording_of(call))
        spool.finish(bench.id, BlockManifest(**{**outcome["manifest"], "entries": (entry,)}))
        for _ in range(2):  # a controller that died half way is told the same again
            bench.ingested(call, outcome)
            assert len(bench.stored(call)) == 1
        assert "held" not in bench.cells("board")[0]
        assert "waiting" not in bench.cells("board")[0]


class TestArtifactsForAWorker:
    def lacks(self, home):
        with pytest.raises(SharedFilesMissing) as caught:
            _fetched(home, "a" * 64)
        return {"error": error_outcome(caught.value), "elapsed_ns": 1}

    def test_a_worker_without_the_variable_says_so(self, store, shared, tmp_path, monkeypatch):
        monkeypatch.delenv("LAB_SHARED_URL", raising=False)
        bench = Bench(store, shared=shared)
        call = bench.measuring()["board"][0]
        calls = bench.ingested(call, self.lacks(tmp_path / "elsewhere"))
        check_waits(bench, call, calls, "not at this worker", "LAB_SHARED_URL is not set for it",
                    "start the worker again")

    def test_a_controller_without_it_is_named_and_puts_them_there_once_it_is_told(self, store, shared, tmp_path,
                                                                                  monkeypatch):
        monkeypatch.setenv("LAB_SHARED_URL", shared.url)
        bench = Bench(store, shared=shared)
        call = bench.measuring()["board"][0]
        needed = {window[key] for window in call.args[2]["plan"]["windows"]
                  for key in ("artifact_sha256", "inputs_sha256")}
        for sha256 in needed:
            shared.remove("artifacts", sha256)  # as if the controller had not known where to put them
        without_shared(bench)
        calls = bench.ingested(call, self.lacks(tmp_path / "elsewhere"))
        check_waits(bench, call, calls, "At the controller LAB_SHARED_URL is not set", "start the controller again")
        with_shared(bench)
        calls = bench.ingested(call, self.lacks(tmp_path / "elsewhere"))
        check_waits(bench, call, calls, "is not in the shared files", shared.url)
        assert all(_fetched(tmp_path / "elsewhere", sha256).is_file() for sha256 in needed)

    def test_what_is_nowhere_any_more_is_not_waited_for(self, store, shared, tmp_path, monkeypatch):
        monkeypatch.setenv("LAB_SHARED_URL", shared.url)
        bench = Bench(store, shared=shared)
        call = bench.measuring()["board"][0]
        sha256 = call.args[2]["plan"]["windows"][0]["artifact_sha256"]
        store.artifacts.path(sha256).unlink()
        shared.remove("artifacts", sha256)
        assert bench.ingested(call, self.lacks(tmp_path / "elsewhere")) == []
        states, reasons = bench.cells("board")
        assert states == {"failed"}
        assert any("`lab campaigns retry` makes it again" in reason for reason in reasons)
        assert store.health("board").failures == 0

    def test_what_is_here_needs_no_shared_files(self, store, monkeypatch):
        monkeypatch.delenv("LAB_SHARED_URL", raising=False)
        sha256 = store.artifacts.add_bytes(b"model")
        assert _fetched(store.home, sha256) == store.artifacts.path(sha256)


class TestArtifactsOfACompressWorker:
    @pytest.mark.parametrize("at_controller", [True, False], ids=["set at the controller", "set nowhere"])
    def test_one_elsewhere_without_them_is_named_and_asked_again(self, store, shared, at_controller):
        bench = Bench(store, shared=shared if at_controller else None)
        call = next(call for call in bench.contacted("board") if call.name == "compress")
        (again,) = bench.compressed(call, is_here=False)
        assert (again.name, again.args, again.queue) == ("compress", call.args, "compress")
        assert again.id != call.id
        assert again.delay_s > 0
        where = "compress worker" if at_controller else "controller"
        assert any(f"LAB_SHARED_URL is not set at the {where}" in (reason or "") for reason in bench.cells("board")[1])
        assert "failed" not in bench.cells("board")[0]

    def test_once_it_is_put_there_the_campaign_goes_on(self, store, shared, tmp_path):
        bench = Bench(store, shared=shared)
        calls = [call for call in bench.contacted("board") if call.name == "compress"]
        for name in ("baseline", "int8"):
            (tmp_path / name).write_bytes(name.encode())
            shared.push("artifacts", hashlib.sha256(name.encode()).hexdigest(), tmp_path / name)
        after = [each for call in calls for each in bench.compressed(call, is_here=False)]
        assert {each.name for each in after} == {"block"}

    def test_one_of_this_home_need_not_know_where_others_look(self, store, shared):
        bench = Bench(store, shared=shared)
        bench.measuring()
        assert shared.usage()["artifacts"].files == 3  # two models and the sample input


class TestWhatALaterProcessFound:
    """Blocks that an earlier worker process began are handed over by calls of their own."""

    def collect(self, bench, call, *, owner, shared):
        outcome = ended(call, owner=owner, shared=shared)
        return bench.controller.collected(bench.id, outcome["manifest"], shared, owner)

    def test_it_is_not_taken_for_stored_while_it_cannot_come(self, store, shared):
        bench = Bench(store, shared=shared)
        call = bench.measuring()["board"][0]
        with pytest.raises(SharedFilesMissing, match="LAB_SHARED_URL is not set at the worker of board"):
            self.collect(bench, call, owner=ELSEWHERE, shared=False)
        assert {attempt.state for attempt in store.attempts(bench.id, "board")} == {"queued"}

    def test_it_is_stored_once_it_is_shared(self, store, shared, tmp_path):
        bench = Bench(store, shared=shared)
        call = bench.measuring()["board"][0]
        put(shared, tmp_path, recording_of(call))
        assert self.collect(bench, call, owner=ELSEWHERE, shared=True) == []
        assert len(bench.stored(call)) == 1

    def test_shared_or_not_are_two_calls(self):
        """The first one ended as an error under its id; the second one must not be taken for it."""
        from lab.campaigns.engine.workflows import collected_call

        manifest = {"block_id": "b1", "attempt": 1}
        ids = [collected_call(["c", manifest, is_shared, "ada"]).id for is_shared in (False, True)]
        assert ids == ["c:collected:b1:1", "c:collected:b1:1:shared"]
