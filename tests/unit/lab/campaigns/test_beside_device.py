"""The worker beside a device measures what it is told once, and fetches what an earlier one left there."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from lab.campaigns.base import HostServices
from lab.campaigns.beside_device import contact, left_behind, measure_block
from lab.campaigns.block import host_spool
from lab.campaigns.order_json import manifest_from_json, order_to_json
from lab.domain.block import BlockOrder, BlockPlan, WindowPlan
from lab.domain.device import DeviceFacts
from lab.errors import ConnectFailed
from lab.store.codec import from_text, to_text
from tests.support import samples
from tests.support.scripted_agent import ScriptedAgent, bundle, result

CELL_ID = samples.cell().id


def order(block_id="b1", **changes):
    window = WindowPlan(cell_id=CELL_ID, artifact_sha256="a" * 64, inputs_sha256=None, runtime="no_op", threads=1,
                        batch=1, warmup_ns=0, length_ns=10**9, inferences_min=1)
    plan = BlockPlan(block_id=block_id, number=1, attempt=1, windows=(window,), idle_ns=10**9, probes=(),
                     sample_rate_hz=10.0, window_deadline_ns=10**10)
    return BlockOrder(campaign_id="camp", target=samples.DEVICE, profile=samples.profile(),
                      plan=replace(plan, **changes))


class Bench:
    """A worker's services with a scripted device that has the artifact and records one window for each block."""

    def __init__(self, home):
        self.agent = ScriptedAgent()
        self.agent.blobs["a" * 64] = b""
        self.agent.answers["block.start"] = self._start
        model = home / "model.onnx"
        model.write_bytes(b"")
        self.services = HostServices(home=home, bundle=bundle, transport=lambda *_: self.agent.transport(),
                                     artifact=lambda _hash: model, owner="ada", pause=lambda _seconds: None)
        self.spool = host_spool(self.services)

    def _start(self, message):
        block_id = message.header["plan"]["block_id"]
        self.agent.add_recording(block_id.encode(), block_id=block_id, cell_id=CELL_ID)
        return result(message)

    def measure(self, wanted):
        return measure_block(json.loads(json.dumps(order_to_json(wanted))), self.services)

    def started(self):
        return self.agent.ops().count("block.start")


@pytest.fixture
def bench(lab_home):
    return Bench(lab_home)


def taken(spool, manifest):
    """As the controller does once the recordings are stored."""
    spool.fulfil(manifest)
    spool.drop(manifest)


def test_a_device_says_what_it_is(bench):
    """As JSON text of its facts."""
    answer = contact(to_text(samples.DEVICE), to_text(samples.profile()), bench.services)
    facts: DeviceFacts = from_text(DeviceFacts, answer["facts"])
    assert facts.cpu_model == "Cortex-A72"


def test_a_device_that_is_not_there_is_an_answer_too(bench):
    """The controller decides what follows."""
    def nobody(*_):
        raise ConnectFailed("nobody there")

    services = replace(bench.services, transport=nobody, reconnects_max=0)
    told = contact(to_text(samples.DEVICE), to_text(samples.profile()), services)["error"]
    assert (told["kind"], told["transient"], told["text"]) == ("ConnectFailed", True, "nobody there")
    told = measure_block(order_to_json(order()), services)["error"]
    assert (told["kind"], told["transient"]) == ("ConnectionLost", True)


def test_a_block_is_measured_once_however_often_it_is_asked_for(bench):
    """A worker that died before it could answer does not measure again what lies in its spool."""
    first, second = bench.measure(order()), bench.measure(order())
    assert first["manifest"] == second["manifest"]
    assert first["manifest"]["state"] == "done"
    assert bench.started() == 1


def test_another_attempt_is_another_measurement(bench):
    """What the first one left is not taken for it."""
    bench.measure(order())
    assert bench.measure(order(attempt=2))["manifest"]["attempt"] == 2
    assert bench.started() == 2


def test_what_an_earlier_worker_started_is_fetched_first(bench):
    """It is handed over with its campaign; the block that was asked for goes its own way."""
    bench.spool.promise(order("b0"))
    bench.agent.add_recording(b"earlier", block_id="b0", cell_id=CELL_ID)
    bench.measure(order())
    ((campaign_id, manifest, is_shared, owner),) = left_behind(bench.services, lambda *_: False, "b1")
    assert (campaign_id, is_shared, owner) == ("camp", False, "ada")
    assert manifest_from_json(manifest).block_id == "b0"
    assert len(manifest["entries"]) == 1
    assert bench.started() == 1


def test_a_block_that_is_taken_meanwhile_leaves_nothing_behind(bench):
    """While one leftover is fetched the controller takes another one: it must not come back without recordings."""
    for block_id in ("b00", "b01"):
        bench.spool.promise(order(block_id))
    bench.measure(order("b1"))  # both are here now
    for _, manifest in list(bench.spool.waiting()):
        taken(bench.spool, manifest)
    for block_id in ("b00", "b01"):
        bench.spool.promise(order(block_id))

    def wait(message):
        bench.spool.fulfil(replace(manifest, block_id="b01"))
        return result(message, state="done", position=1, windows_done=1, error=None)

    bench.agent.answers["block.wait"] = wait
    bench.measure(order("b2"))
    assert {manifest.block_id for _, manifest in bench.spool.waiting()} == {"b00", "b2"}
