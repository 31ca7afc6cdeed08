"""Campaigns, their cells, and what happened to them."""

import dataclasses
import threading

import pytest

from lab.domain.campaign import PROTOCOLS, Settings
from lab.errors import NotFound, StoreError
from lab.store.store import Store
from tests.support import samples

ID = "c0ffee0123456789"


def add(store, campaign_id, name):
    store.save_campaign(campaign_id, samples.campaign(name=name), samples.WORKLOAD_SHA256, "text")


def test_a_campaign_comes_back_as_submitted(filled):
    assert filled.definition(ID) == (samples.campaign(), "name: first")


def test_a_new_campaign_is_pending_with_all_cells_open(filled):
    (summary,) = filled.campaigns()
    assert (summary.name, summary.owner, summary.workload) == ("first", "ada@host", "digits")
    assert (summary.state, summary.failure) == ("pending", None)
    assert (summary.cells_total, summary.cells_done, summary.cells_failed) == (2, 0, 0)


def test_counts_follow_the_cells(filled):
    filled.set_cell_state(ID, samples.cell().id, "done")
    filled.record_failure(ID, samples.cell(samples.INT8).id, "board", "compress", "CompressionError", "no such layer")
    summary = filled.campaign(ID)
    assert (summary.cells_total, summary.cells_done, summary.cells_failed) == (2, 1, 1)


def test_submitting_again_keeps_state_and_age(filled):
    filled.set_campaign_state(ID, "measuring")
    filled.set_cell_state(ID, samples.cell().id, "done")
    before = filled.campaign(ID)
    filled.save_campaign(ID, samples.campaign(), samples.WORKLOAD_SHA256, "name: first")
    filled.save_cells(ID, [samples.cell(), samples.cell(samples.INT8)])
    assert filled.campaign(ID) == before


def test_a_changed_plan_replaces_the_cells_and_keeps_what_stays(filled):
    filled.set_cell_state(ID, samples.cell().id, "done")
    other = samples.cell(samples.INT8, seed=7)
    filled.save_cells(ID, [other, samples.cell()])
    assert filled.cells(ID) == (other, samples.cell())
    assert samples.cell_states(filled, ID) == {other.id: ("pending", None), samples.cell().id: ("done", None)}


@pytest.mark.parametrize("wanted", [ID, "first", ID[:4], ID[:10]])
def test_a_campaign_answers_to_id_name_and_beginning(filled, wanted):
    assert filled.campaign(wanted).id == ID


def test_the_latest_campaign_of_a_name_answers(store):
    add(store, "aaaa1111", "same")
    add(store, "0000bbbb", "same")
    assert store.campaign("same").id == "0000bbbb"


def test_an_id_wins_over_a_name(store):
    add(store, "aaaa1111", "bbbb2222")
    add(store, "bbbb2222", "other")
    assert store.campaign("bbbb2222").name == "other"


def test_an_ambiguous_beginning_lists_the_ids(store):
    add(store, "aaaa1111", "one")
    add(store, "aaaa2222", "two")
    with pytest.raises(NotFound, match=r"aaaa1111 \(one\), aaaa2222 \(two\)"):
        store.campaign("aaaa")


def test_a_beginning_of_few_letters_is_not_enough(filled):
    with pytest.raises(NotFound):
        filled.campaign(ID[:3])


def test_an_unknown_campaign_names_the_closest(filled):
    with pytest.raises(NotFound, match=r"did you mean 'first'"):
        filled.campaign("frist")


def test_an_empty_lab_says_so(store):
    with pytest.raises(NotFound, match="no campaigns yet"):
        store.campaign("first")


def test_campaigns_are_listed_oldest_first(store):
    for campaign_id, name in (("ffff", "old"), ("0000", "new")):
        add(store, campaign_id, name)
    assert [summary.name for summary in store.campaigns()] == ["old", "new"]


def test_changes_of_state_are_events_but_repetitions_are_not(filled):
    for state, failure in (("measuring", None), ("measuring", None), ("failed", "device gone")):
        filled.set_campaign_state(ID, state, failure)
    assert [(event.kind, event.message) for event in filled.events(ID)] == [("measuring", ""),
                                                                            ("failed", "device gone")]
    assert filled.campaign(ID).failure == "device gone"


def test_a_failure_is_an_event_and_the_cells_state(filled):
    cell_id = samples.cell(samples.INT8).id
    filled.record_failure(ID, cell_id, "board", "compress", "CompressionError", "step 1: no such layer")
    assert samples.cell_states(filled, ID)[cell_id] == ("failed", "step 1: no such layer")
    (event,) = filled.events(ID)
    assert dataclasses.astuple(event)[:-1] == (ID, cell_id, "board", "compress", "CompressionError",
                                               "step 1: no such layer")


def test_a_failure_without_a_cell_touches_no_cell(filled):
    filled.record_failure(ID, None, "board", "connect", "ConnectFailed", "nobody there")
    assert {state for state, _ in samples.cell_states(filled, ID).values()} == {"pending"}
    assert filled.events(ID)[0].cell_id is None


def test_success_after_failure_clears_the_text(filled):
    cell_id = samples.cell().id
    filled.record_failure(ID, cell_id, "board", "measure", "WorkerDied", "killed")
    filled.set_cell_state(ID, cell_id, "done")
    assert samples.cell_states(filled, ID)[cell_id] == ("done", None)


def test_a_failure_of_an_unknown_campaign_leaves_nothing(filled):
    with pytest.raises(StoreError, match="no campaign"):
        filled.record_failure("unknown", samples.cell().id, "board", "measure", "WorkerDied", "killed")
    assert samples.cell_states(filled, ID)[samples.cell().id] == ("pending", None)


@pytest.mark.parametrize("call", [
    lambda store: store.set_cell_state(ID, "unknown", "done"),
    lambda store: store.set_cell_state("unknown", samples.cell().id, "done"),
    lambda store: store.set_campaign_state("unknown", "done"),
    lambda store: store.definition("unknown"),
    lambda store: store.set_priority("unknown", 5),
    lambda store: store.next_epoch("unknown"),
    lambda store: store.next_epoch("first"),
])
def test_unknown_ids_are_not_found(filled, call):
    with pytest.raises(NotFound):
        call(filled)


def test_cells_of_an_unknown_campaign_are_refused(store):
    with pytest.raises(StoreError, match="cannot write"):
        store.save_cells("unknown", [samples.cell()])
    assert store.cells("unknown") == ()


def test_one_cell_may_belong_to_several_campaigns_under_other_names(filled):
    renamed = dataclasses.replace(samples.INT8, name="small")
    filled.save_campaign("other", samples.campaign(name="other"), samples.WORKLOAD_SHA256, "")
    filled.save_cells("other", [samples.cell(renamed)])
    assert samples.cell(renamed).id == samples.cell(samples.INT8).id
    assert [cell.technique.name for cell in filled.cells("other")] == ["small"]
    assert [cell.technique.name for cell in filled.cells(ID)] == ["baseline", "int8"]


def test_cells_keep_every_detail(filled):
    cells = [samples.cell(samples.INT8, settings=Settings(threads=4, device_state=(("governor", "performance"),)),
                          protocol=PROTOCOLS["standard"], seed=3)]
    filled.save_cells(ID, cells)
    assert filled.cells(ID) == tuple(cells)


def test_a_campaign_has_the_usual_priority_unless_told(store):
    add(store, "aaaa", "usual")
    store.save_campaign("bbbb", samples.campaign(name="urgent"), samples.WORKLOAD_SHA256, "", priority=1)
    assert [(summary.name, summary.priority) for summary in store.campaigns()] == [("usual", 10), ("urgent", 1)]


def test_a_priority_is_kept_when_submitted_again(filled):
    filled.set_priority(ID, 3)
    filled.save_campaign(ID, samples.campaign(), samples.WORKLOAD_SHA256, "name: first", priority=50)
    assert filled.campaign(ID).priority == 3


def test_a_priority_is_that_of_one_campaign(filled):
    add(filled, "other", "other")
    filled.set_priority("other", 100)
    assert [summary.priority for summary in filled.campaigns()] == [10, 100]


def test_epochs_count_up_for_each_campaign_alone(filled):
    add(filled, "other", "other")
    assert [filled.next_epoch(ID), filled.next_epoch(ID), filled.next_epoch("other")] == [1, 2, 1]
    assert filled.campaign(ID).epoch == 2


def kinds(store):
    return [event.kind for event in store.events(ID)]


def open_epoch(store, campaign_id=ID, priority=10):
    return store.open_epoch(campaign_id, samples.campaign(), "text", priority=priority, active={"queued", "measuring"})


def test_a_campaign_nobody_knows_is_kept_and_begun(store):
    assert open_epoch(store, priority=2) == 1
    summary = store.campaign(ID)
    assert (summary.state, summary.priority, summary.epoch, summary.workload_sha256) == ("queued", 2, 1, "")
    assert store.definition(ID) == (samples.campaign(), "text")
    assert kinds(store) == ["queued"]


def test_a_campaign_that_goes_on_is_not_begun_twice(filled):
    filled.set_campaign_state(ID, "measuring")
    assert open_epoch(filled, priority=2) is None
    assert kinds(filled) == ["measuring"]
    summary = filled.campaign(ID)
    assert (summary.state, summary.priority, summary.epoch) == ("measuring", 10, 0)


def test_a_campaign_that_failed_is_begun_again_with_the_new_priority(filled):
    filled.set_campaign_state(ID, "failed", "device gone")
    assert open_epoch(filled, priority=2) == 1
    summary = filled.campaign(ID)
    assert (summary.state, summary.failure, summary.priority) == ("queued", None, 2)
    assert kinds(filled) == ["failed", "queued"]
    assert summary.workload_sha256 == samples.WORKLOAD_SHA256


def test_of_two_who_submit_at_once_one_begins(lab_home, store):
    begun = []
    with Store.open(lab_home) as other:
        threads = [threading.Thread(target=lambda own=own: begun.append(open_epoch(own))) for own in (store, other)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(begun, key=str) == [1, None]
    assert store.campaign(ID).epoch == 1
    assert kinds(store) == ["queued"]
