"""A name goes on meaning one machine, and a failed cell says why."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lab.campaigns.base import Services
from lab.campaigns.prepare import fail_cells, note_facts
from lab.errors import ConnectFailed, DeviceError
from lab.store.store import Store
from tests.support import samples

CAMPAIGN_ID = "c0ffee0123456789"
CELLS = (samples.cell(), samples.cell(samples.INT8))


@pytest.fixture
def store(lab_home):
    with Store.open(lab_home) as opened:
        opened.save_device(samples.DEVICE)
        opened.save_campaign(CAMPAIGN_ID, samples.campaign(), samples.WORKLOAD_SHA256, "")
        opened.save_cells(CAMPAIGN_ID, CELLS)
        yield opened


def failed(store, cells, error):
    """Fail cells; returns what a person watching hears."""
    heard = []
    services = Services(home=store.traces.parent, store=store, bundle=None, transport=None, profile=None,
                        workload=None, compress=None, owner="ada", home_id="home", listener=heard.append)
    fail_cells(CAMPAIGN_ID, cells, "connect", error, services)
    return heard


def test_what_a_device_is_may_change_as_long_as_it_is_the_same_machine(store):
    """A new kernel, a new agent, more memory: the last word counts."""
    note_facts("board", samples.facts(), store)
    newer = samples.facts(kernel="6.9", memory_bytes=2**33)
    note_facts("board", newer, store)
    assert store.facts("board")[0] == newer


@pytest.mark.parametrize("changes", [{"cpu_model": "Another"}, {"machine": "aarch64"}])
def test_another_machine_under_a_known_name_is_refused(store, changes):
    """Its results would be mixed with those of the first; what is known stays."""
    note_facts("board", samples.facts(), store)
    with pytest.raises(DeviceError, match=r"board is another machine now.*new name"):
        note_facts("board", replace(samples.facts(), **changes), store)
    assert store.facts("board")[0] == samples.facts()


def test_a_failure_is_in_every_cell_it_touches_and_in_the_log(store):
    """With the notes that say which device it was."""
    error = ConnectFailed("nobody there")
    error.add_note("device: board (local)")
    heard = failed(store, CELLS, error)
    told = "nobody there\ndevice: board (local)"
    assert set(store.cell_states(CAMPAIGN_ID).values()) == {("failed", told)}
    noted = [event for event in store.events(CAMPAIGN_ID) if event.kind == "ConnectFailed"]
    assert [(event.cell_id, event.device, event.stage, event.message) for event in noted] == [
        (cell.id, "board", "connect", told) for cell in CELLS]
    assert [event.text.splitlines()[0] for event in heard] == ["baseline failed: nobody there",
                                                              "int8 failed: nobody there"]


def test_other_cells_stay_as_they_are(store):
    """One technique's failure is not the others'."""
    before = store.cell_states(CAMPAIGN_ID)[CELLS[1].id]
    failed(store, CELLS[:1], ConnectFailed("nobody there"))
    assert store.cell_states(CAMPAIGN_ID)[CELLS[1].id] == before


def test_an_error_without_text_is_still_a_reason(store):
    """Never an empty failure."""
    failed(store, CELLS[:1], KeyError())
    assert store.cell_states(CAMPAIGN_ID)[CELLS[0].id] == ("failed", "KeyError()")
