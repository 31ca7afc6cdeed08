"""A block against a scripted agent: measured once, collected whatever the link does, nothing foreign taken."""

from __future__ import annotations

import hashlib
import threading
import time
from dataclasses import replace

import pytest

from agents.wire import IDLE_CELL
from lab.campaigns.base import HostServices
from lab.campaigns.block import host_spool, open_session, run_block
from lab.domain.block import BlockOrder, BlockPlan, WindowPlan
from lab.errors import AuthFailed, ConnectFailed, ConnectionLost, DeviceBusy, HostKeyError, ProtocolMismatch, WorkerDied
from tests.support import samples
from tests.support.scripted_agent import ScriptedAgent, bundle, result

CELL_ID = samples.cell().id
MODEL = b"a model"
MODEL_SHA256 = hashlib.sha256(MODEL).hexdigest()


def order(**changes):
    planned = WindowPlan(cell_id=CELL_ID, artifact_sha256=MODEL_SHA256, inputs_sha256=None, runtime="no_op", threads=1,
                         batch=1, warmup_ns=0, length_ns=10**9, inferences_min=1)
    values = {"block_id": "b1", "number": 1, "attempt": 1, "windows": (planned,), "idle_ns": 10**9,
              "probes": ("thermal",), "sample_rate_hz": 10.0, "window_deadline_ns": 10**10}
    return BlockOrder(campaign_id="camp", target=samples.DEVICE, profile=samples.profile(),
                      plan=BlockPlan(**(values | changes)))


class Bench:
    """A worker's services whose device is a script that records two windows once the block is started."""

    def __init__(self, home):
        self.agent, self.pauses, self.heard = ScriptedAgent(), [], []
        self.agent.answers["block.start"] = self._start
        self.refused = []
        model = home / "model.onnx"
        model.write_bytes(MODEL)
        self.services = HostServices(home=home, bundle=bundle, transport=self._transport, artifact=lambda _hash: model,
                                     owner="ada", listener=self.heard.append, pause=self.pauses.append)
        self.spool = host_spool(self.services)

    def _transport(self, _device, _profile):
        if self.refused:
            raise self.refused.pop(0)
        return self.agent.transport()

    def _start(self, message):
        attempt = message.header["plan"]["attempt"]
        self.agent.add_recording(b"idle", cell_id=None, position=0, attempt=attempt)
        self.agent.add_recording(b"window", cell_id=CELL_ID, position=1, attempt=attempt)
        return result(message)

    def run(self, wanted=None, **changes):
        return run_block(wanted or order(), replace(self.services, **changes))

    def say(self, *states):
        """What `block.wait` answers, one after the other; the last one for ever."""
        left = list(states)
        self.agent.answers["block.wait"] = lambda message: result(message, **{
            "position": 1, "windows_done": 1, "error": None, **(left.pop(0) if len(left) > 1 else left[0])})


@pytest.fixture
def bench(lab_home):
    return Bench(lab_home)


def test_a_block_is_started_and_its_windows_lie_here(bench):
    """The artifact is sent, the plan handed over, every window fetched, and only then may the device forget."""
    manifest = bench.run()
    assert (manifest.block_id, manifest.device, manifest.attempt, manifest.state) == ("b1", "board", 1, "done")
    assert [(entry.position, entry.cell_id) for entry in manifest.entries] == [(0, IDLE_CELL), (1, CELL_ID)]
    assert [bench.spool.read("b1", entry) for entry in manifest.entries] == [b"idle", b"window"]
    assert list(bench.spool.waiting()) == [("camp", manifest)]
    assert bench.agent.blobs == {MODEL_SHA256: MODEL}
    assert bench.agent.spool == {}
    ops = bench.agent.ops()
    assert max(at for at, op in enumerate(ops) if op == "spool.get") < ops.index("spool.ack")
    assert ops[-1] == "lease.release"
    assert bench.agent.holder is None


def test_the_manifest_says_under_which_fence_it_was_measured(bench):
    """The audit names it."""
    assert bench.run().fence == 1


def test_the_order_is_noted_before_the_block_is_started(bench):
    """A process that dies right after it leaves enough to collect the block."""
    noted = []
    start = bench.agent.answers["block.start"]
    bench.agent.answers["block.start"] = lambda message: noted.extend(bench.spool.promised("board")) or start(message)
    bench.run()
    assert noted == [order()]


def test_a_block_that_was_started_before_is_collected_not_started_again(bench):
    """The device has measured it while nobody listened."""
    bench.spool.promise(order())
    bench.agent.add_recording(b"window", cell_id=CELL_ID, position=1)
    manifest = bench.run()
    assert [entry.position for entry in manifest.entries] == [1]
    assert "block.start" not in bench.agent.ops()


def test_a_promised_block_that_the_device_does_not_know_is_started(bench):
    """The promise was noted, and the process died before the device heard of it."""
    bench.spool.promise(order())
    bench.say({"state": "unknown"}, {"state": "done"})
    assert len(bench.run().entries) == 2
    assert "block.start" in bench.agent.ops()


def test_collecting_starts_nothing(bench):
    """A block of a campaign that is over ends as unknown, without windows, if the device lost it."""
    bench.say({"state": "unknown"})
    bench.spool.promise(order())
    manifest = run_block(order(), bench.services, may_start=False)
    assert (manifest.state, manifest.entries) == ("unknown", ())
    assert "block.start" not in bench.agent.ops()


def test_why_a_block_failed_is_in_the_manifest(bench):
    """With the windows that were finished before."""
    bench.say({"state": "failed", "error": "the disk is full"})
    manifest = bench.run()
    assert (manifest.state, manifest.error) == ("failed", "the disk is full")
    assert len(manifest.entries) == 2


def test_windows_of_another_attempt_are_left_on_the_device(bench):
    """They are another manifest's."""
    old = bench.agent.add_recording(b"old", cell_id=CELL_ID, position=1, attempt=1)
    manifest = bench.run(order(attempt=2))
    assert old not in {entry.sha256 for entry in manifest.entries}
    assert old in bench.agent.spool


def test_a_window_of_a_cell_that_was_not_asked_for_is_refused(bench):
    """A device may answer only what it was asked, whatever else it has."""
    bench.agent.add_recording(b"foreign", cell_id="f" * 64, position=1)
    with pytest.raises(ProtocolMismatch, match="offered a window of cell 'ffff"):
        bench.run()
    assert bench.agent.holder is None


def test_a_lost_link_is_followed_by_new_ones_after_growing_pauses(bench):
    """Up to half a minute each, and the listener is told."""
    bench.refused = [ConnectFailed("nobody there")] * 6
    assert bench.run().state == "done"
    assert bench.pauses == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0]
    assert sum("nobody there" in event.text for event in bench.heard) == 6


@pytest.mark.parametrize("reconnects_max", [0, 2])
def test_a_device_that_stays_away_is_given_up(bench, reconnects_max):
    """With the number of tries and the last reason; it is a failure that may pass."""
    bench.refused = [ConnectFailed("nobody there")] * 20
    with pytest.raises(ConnectionLost, match=rf"{reconnects_max + 1} times in a row.*Last: nobody there") as caught:
        bench.run(reconnects_max=reconnects_max)
    assert caught.value.transient
    assert len(bench.pauses) == reconnects_max


@pytest.mark.parametrize("error", [HostKeyError("another key"), AuthFailed("no key fits")])
def test_what_no_retry_can_help_is_told_at_once(bench, error):
    """With a note of the device it was."""
    bench.refused = [error]
    with pytest.raises(type(error)) as caught:
        bench.run()
    assert bench.pauses == []
    assert any("board" in note for note in caught.value.__notes__)


def test_a_device_that_somebody_else_holds_is_not_touched(bench):
    """Busy is not lost: it is asked again later by the one who decides."""
    bench.agent.holder = "bob"
    with pytest.raises(DeviceBusy, match="bob"):
        bench.run()
    assert bench.pauses == []
    assert "block.start" not in bench.agent.ops()
    assert bench.agent.holder == "bob"


def test_what_an_earlier_link_fetched_is_in_the_manifest_of_the_next(bench):
    """The acknowledgement went through, its answer did not: the device has forgotten the windows."""
    def forget(message):
        del bench.agent.answers["spool.ack"]
        bench.agent._spool_ack(message, message.header)
        bench.agent.holder = None  # the real agent lets the same owner in again
        raise ConnectionLost("cut by the test")

    bench.agent.answers["spool.ack"] = forget
    manifest = bench.run()
    assert [entry.position for entry in manifest.entries] == [0, 1]
    assert bench.agent.spool == {}
    assert bench.agent.ops().count("block.start") == 1
    assert bench.pauses == [1.0]


def test_a_machine_that_measures_something_else_is_waited_for(bench):
    """And whoever watches is told why nothing happens."""
    bench.say({"state": "running", "waiting": True}, {"state": "running", "waiting": True}, {"state": "done"})
    assert bench.run().state == "done"
    assert sum("something else is being measured" in event.text for event in bench.heard) == 2


def test_a_block_that_outlives_its_own_deadline_is_an_error(bench):
    """The device is alive, its block is not; the lease stays with it."""
    bench.say({"state": "running"})
    with pytest.raises(WorkerDied, match="did not end within its own deadline"):
        bench.run()
    assert "lease.release" not in bench.agent.ops()


def test_a_block_ends_on_the_device_when_it_is_not_wanted_any_more(bench):
    """The finished windows still come back."""
    ended = threading.Event()

    def wait(message):
        time.sleep(0.01)
        return result(message, state="cancelled" if ended.is_set() else "running", position=1, windows_done=1,
                      error=None, waiting=True)

    def cancel(message):
        ended.set()
        return result(message)

    bench.agent.answers |= {"block.wait": wait, "block.cancel": cancel}
    manifest = bench.run(should_stop=lambda: True)
    assert manifest.state == "cancelled"
    assert len(manifest.entries) == 2
    assert bench.agent.ops().count("block.cancel") == 1


def test_a_block_that_is_wanted_to_its_end_is_not_cancelled(bench):
    """Being asked is not being stopped."""
    assert bench.run(should_stop=lambda: False).state == "done"
    assert "block.cancel" not in bench.agent.ops()


def test_a_session_ends_with_its_with(bench):
    """Errors of the lab carry the device's name."""
    with pytest.raises(ProtocolMismatch) as caught, open_session(samples.DEVICE, samples.profile(), bench.services):
        raise ProtocolMismatch("odd")
    assert caught.value.__notes__ == ["device: board (local)"]
