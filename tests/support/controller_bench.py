"""A controller on a real store whose actions a test asks for one by one: no queue, no worker, no device."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lab.campaigns.base import Services
from lab.campaigns.controller import Controller
from lab.campaigns.ids import campaign_id_of
from lab.domain.block import Cell
from lab.store.codec import from_text, to_text
from lab.workloads.base import Workload
from tests.support import samples

WORKLOAD = Workload(name="digits", sha256=samples.WORKLOAD_SHA256, metric_name="top1",
                    sample_input=np.zeros((1, 2), np.float32), data=None, evaluation_inputs=None,
                    evaluation_targets=None)
BOARDS = ("board", "other")
"""Both in pool `pair`, each with a profile of its own name."""


def never(*_args, **_kwargs):
    raise AssertionError("no device may be touched")


class Bench:
    """One campaign on both boards, planned; `changes` replace fields of the campaign."""

    def __init__(self, store, *, shared=None, **changes):
        self.store, self.profiles = store, {}
        self.services = Services(home=store.home, store=store, bundle=never, transport=never, compress=never,
                                 owner="ada@host:home", home_id="home", workload=lambda _spec: WORKLOAD,
                                 profile=self.profile, shared=shared)
        self.controller = Controller(self.services)
        for name in BOARDS:
            store.save_device(replace(samples.DEVICE, name=name, profile=name, pools=("pair",)))
        self.campaign = samples.campaign(**{"devices": BOARDS, **changes})
        self.id = campaign_id_of(self.campaign)
        self.epoch = store.open_epoch(self.id, self.campaign, "", priority=10, active=())
        self.contacts = self.controller.plan(self.id, self.epoch)

    def profile(self, name):
        """As from a file that may be edited: (profile, hash)."""
        return samples.profile(), self.profiles.get(name, "b" * 64)

    def resume(self):
        """A new epoch; the calls that begin it."""
        self.epoch = self.store.next_epoch(self.id)
        self.store.set_campaign_state(self.id, "queued")
        return self.controller.plan(self.id, self.epoch)

    def contacted(self, device):
        """The device answers."""
        return self.controller.contacted(self.id, self.epoch, device, {"facts": to_text(samples.facts()), "number": 1})

    def compressed(self, call, *, is_here=True):
        """An artifact is made, and lies in this LAB_HOME or on another machine."""
        cell = from_text(Cell, call.args[3])
        data = cell.technique.name.encode()
        model = samples.compressed(cell.technique)  # named by that content
        if is_here:
            assert self.store.artifacts.add_bytes(data) == model.artifact.sha256
        return self.controller.compressed(self.id, self.epoch, call.args[2], {"model": to_text(model)})

    def make(self, calls):
        """Every artifact that these calls ask for; the calls that follow."""
        return [after for call in calls for after in self.compressed(call)]

    def measuring(self):
        """All devices of the campaign have blocks in the queue; the blocks' calls by device."""
        calls = [call for contact in self.contacts for call in self.contacted(contact.device)]
        blocks = self.make([call for call in calls if call.name == "compress"])
        blocks += [call for call in calls if call.name == "block"]
        assert {call.name for call in blocks} == {"block"}
        return {contact.device: [call for call in blocks if call.device == contact.device]
                for contact in self.contacts}

    def advance(self, device):
        """Look again what the device can do."""
        return self.controller.advance(self.id, self.epoch, device)

    def ingested(self, call, outcome):
        """The block's call ends so."""
        return self.controller.ingested(self.id, self.epoch, *call.args[2:4], outcome)

    def store_block(self, call, windows=None):
        """Windows of this block, by default all, as if the device had measured them."""
        plan = call.args[2]["plan"]
        for position, window in enumerate(plan["windows"][:windows], 1):
            data = samples.recording(block_id=plan["block_id"], cell_id=window["cell_id"], attempt=1,
                                     position=position, artifact_sha256=window["artifact_sha256"])
            self.store.ingest_window(data, campaign_id=self.id, device=call.device, block_number=plan["number"])

    def stored(self, call):
        """What is kept of the first cell of this block."""
        return self.store.cell_blocks(call.args[2]["plan"]["windows"][0]["cell_id"])

    def cells(self, device):
        """{state} and {reason} of the device's cells."""
        said = self.store.cell_states(self.id, device).values()
        return {state for state, _ in said}, {reason for _, reason in said}
