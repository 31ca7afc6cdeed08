"""What a device measures next follows from the store alone, ends for every cell, and can be decided twice."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.campaigns.base import Services
from lab.campaigns.conclude import conclude_device
from lab.campaigns.next_block import (
    DEPTH,
    DeviceWork,
    Spent,
    _spent,
    expected_ns,
    half_width_ratio,
    is_unfinished,
    missing_kind,
    next_blocks,
    took_s,
    why_hopeless,
)
from lab.domain.campaign import PROTOCOLS, Settings
from lab.domain.flags import Flag, Severity
from lab.domain.queue import BlockAttempt
from lab.domain.result import Interval
from lab.store.connection import utc_now
from lab.store.instants import before
from lab.store.store import Store
from tests.support import samples
from tests.support.windows import window

CAMPAIGN_ID = "c0ffee0123456789"
QUICK = PROTOCOLS["quick"]
STANDARD = PROTOCOLS["standard"]
BASELINE, INT8 = samples.cell(), samples.cell(samples.INT8)
DIED = Flag(code="worker_died", severity=Severity.VOID, detail="exit code -9")
SPOILT = Flag(code="nan_output", severity=Severity.VOID, detail="the model answers NaN")


def never(*_args, **_kwargs):
    raise AssertionError("nothing but the store may be asked")


class Bench:
    """A store with one campaign, and blocks that are put there as if a device had measured them."""

    def __init__(self, store, protocol=QUICK, cells=(BASELINE, INT8)):
        self.store, self.cells = store, tuple(cells)
        self.services = Services(home=store.traces.parent, store=store, bundle=never, transport=never,
                                 workload=never, compress=never, owner="ada", home_id="home",
                                 profile=lambda _name: (samples.profile(), "b" * 64))
        self.campaign = samples.campaign(protocol=protocol)
        store.save_device(samples.DEVICE)
        store.save_campaign(CAMPAIGN_ID, self.campaign, samples.WORKLOAD_SHA256, "")
        store.save_cells(CAMPAIGN_ID, self.cells)
        self.begin()

    def begin(self):
        """As `plan` does, at the beginning and whenever the campaign is resumed."""
        self.store.set_campaign_state(CAMPAIGN_ID, "preparing")
        for cell in self.cells:
            self.store.set_cell_state(CAMPAIGN_ID, cell.id, "ready")
        self.store.set_campaign_state(CAMPAIGN_ID, "measuring")

    def work(self, without=()):
        made = {cell.id: "a" * 64 for cell in self.cells if cell not in without}
        return DeviceWork(campaign_id=CAMPAIGN_ID, campaign=self.campaign, device="board", cells=self.cells,
                          artifacts=made, inputs={1: "d" * 64})

    def next(self, without=()):
        results = conclude_device(CAMPAIGN_ID, self.cells, self.services)
        return [each.order for each in next_blocks(self.work(without), results, self.services)]

    def queue(self, order):
        plan = order.plan
        self.store.queue_attempt(BlockAttempt(
            block_id=plan.block_id, attempt=plan.attempt, campaign_id=CAMPAIGN_ID, device="board", number=plan.number,
            state="queued", expected_ns=expected_ns(plan), queued_utc=utc_now()))

    def measure(self, order, missing=(), took_ns=None, state="done", **header):
        """The block ends; cells in `missing` have no usable window in it."""
        plan = order.plan
        self.queue(order)
        for position, planned in enumerate(plan.windows, 1):
            if planned.cell_id not in {cell.id for cell in missing}:
                data = samples.recording(block_id=plan.block_id, cell_id=planned.cell_id, attempt=plan.attempt,
                                         position=position, **header)
                self.store.ingest_window(data, campaign_id=CAMPAIGN_ID, device="board", block_number=plan.number)
        self.store.end_attempt(plan.block_id, plan.attempt, state, took_ns=took_ns)
        for cell in missing:
            self.store.record_failure(CAMPAIGN_ID, None, "board", "measure", missing_kind(cell.id), "it was refused")

    def state(self, cell):
        return self.store.cell_states(CAMPAIGN_ID)[cell.id]


@pytest.fixture
def store(lab_home):
    with Store.open(lab_home) as opened:
        yield opened


@pytest.fixture
def bench(store):
    return Bench(store)


def numbers(orders):
    return [order.plan.number for order in orders]


def test_the_first_two_blocks_are_asked_for_at_once(bench):
    """Three are certain, two under way are enough; each compares the candidate with the baseline."""
    orders = bench.next()
    assert numbers(orders) == [1, 2]
    for order in orders:
        assert {window.cell_id for window in order.plan.windows} == {BASELINE.id, INT8.id}
        assert (order.target, order.profile, order.plan.attempt) == (samples.DEVICE, samples.profile(), 1)
        assert {window.inputs_sha256 for window in order.plan.windows} == {"d" * 64}


def test_the_same_store_gives_the_same_blocks(bench):
    """A controller that died between the decision and the queue decides the same again, also with them noted."""
    first = bench.next()
    assert bench.next() == first
    bench.queue(first[0])
    assert bench.next() == first[1:]
    bench.queue(first[1])
    assert bench.next() == []


def test_blocks_of_another_home_have_other_names(bench):
    """A device remembers names; a LAB_HOME made anew must not be given an old home's recordings."""
    ours = bench.next()
    bench.services = replace(bench.services, home_id="another")
    assert not {order.plan.block_id for order in ours} & {order.plan.block_id for order in bench.next()}


def test_no_more_blocks_than_the_first_stage_are_asked_for_in_advance(bench):
    """Of three blocks the third is the last that is certain; a fourth would be measured for nothing."""
    under_way, asked = [], []
    while True:
        for order in bench.next():
            bench.queue(order)
            under_way.append(order)
            asked.append(order.plan.number)
        assert len(under_way) <= DEPTH
        if not under_way:
            break
        bench.measure(under_way.pop(0))
    assert asked == [1, 2, 3]


def test_one_certain_block_is_left_after_two(bench):
    """Depth is no reason to measure a fourth."""
    for _ in range(2):
        bench.measure(bench.next()[0])
    assert numbers(bench.next()) == [3]
    bench.queue(bench.next()[0])
    assert bench.next() == []


def test_a_block_that_failed_is_asked_for_as_the_next_attempt(bench):
    """The device remembers attempts that ended; the same one would only be told again."""
    first = bench.next()[0]
    bench.queue(first)
    bench.store.end_attempt(first.plan.block_id, 1, "failed")
    again = bench.next()[0]
    assert (again.plan.block_id, again.plan.attempt) == (first.plan.block_id, 2)


def test_a_cell_without_artifact_is_left_out(bench):
    """What could not be compressed cannot be measured; the baseline can."""
    orders = bench.next(without=(INT8,))
    assert [[window.cell_id for window in order.plan.windows] for order in orders] == [[BASELINE.id]] * 2


def test_without_its_baseline_nothing_is_measured(bench):
    """Every block compares with it, so the candidates say so and end."""
    assert bench.next(without=(BASELINE,)) == []
    state, failure = bench.state(INT8)
    assert state == "failed"
    assert "baseline could not be measured" in failure


def test_a_candidate_whose_model_is_at_fault_ends_alone(bench):
    """The others go on without it."""
    bench.measure(bench.next()[0], missing=(INT8,))
    bench.store.set_cell_state(CAMPAIGN_ID, INT8.id, "failed", "could not be loaded")
    orders = bench.next()
    assert [{window.cell_id for window in order.plan.windows} for order in orders] == [{BASELINE.id}] * 2


def test_settings_are_measured_one_after_the_other(store):
    """Cells of other settings never share a block; the second group starts when the first has all it asks for."""
    pairs = [(samples.cell(settings=Settings(threads=n)), samples.cell(samples.INT8, settings=Settings(threads=n)))
             for n in (1, 2)]
    bench = Bench(store, cells=[cell for pair in pairs for cell in pair])
    seen = []
    while orders := bench.next():
        bench.measure(orders[0])
        seen.append({window.threads for window in orders[0].plan.windows})
    assert seen == [{1}] * 3 + [{2}] * 3


def test_two_refusals_in_a_row_end_a_cell(bench):
    """The reason is the last refusal itself."""
    for _ in range(2):
        bench.measure(bench.next()[0], missing=(BASELINE, INT8))
    assert bench.next() == []
    for cell in (BASELINE, INT8):
        assert bench.state(cell)[0] == "failed"
    assert "2 blocks in a row brought no usable recording. Last: it was refused" in bench.state(BASELINE)[1]


def test_refusals_after_a_good_block_end_a_cell_too(bench):
    """One block of better days must not keep the campaign going for ever."""
    bench.measure(bench.next()[0])
    for _ in range(2):
        bench.measure(bench.next()[0], missing=(BASELINE, INT8))
    assert bench.next() == []
    assert "no usable recording" in bench.state(INT8)[1] or "baseline" in bench.state(INT8)[1]


def test_refusals_that_are_not_in_a_row_end_nothing(bench):
    """A good block between them shows that the device can."""
    bench.measure(bench.next()[0], missing=(INT8,))
    bench.measure(bench.next()[0])
    bench.measure(bench.next()[0], missing=(INT8,))
    assert bench.next() != []
    assert bench.state(INT8)[0] == "ready"


def test_a_resumed_campaign_forgets_refusals(bench):
    """Whoever resumes it has mended something, perhaps."""
    for _ in range(2):
        bench.measure(bench.next()[0], missing=(BASELINE, INT8))
    assert bench.next() == []
    bench.begin()
    assert bench.next() != []


def test_a_model_that_failed_ends_its_cells_and_gets_one_more_chance_when_resumed(bench):
    """The recorded error is no reason to try nothing; measured once more with the same end, it is."""
    bench.measure(bench.next()[0], error={"code": "nan_output", "message": "the model answers NaN"})
    assert bench.next() == []
    assert "NaN" in bench.state(BASELINE)[1]
    bench.begin()
    orders = bench.next()
    assert numbers(orders)[0] == 2
    bench.measure(orders[0], error={"code": "nan_output", "message": "the model answers NaN"})
    assert bench.next() == []
    assert "NaN" in bench.state(BASELINE)[1]


def test_a_budget_is_spent_by_what_blocks_took_not_by_what_they_should_take(store):
    """A block that took an hour ends a campaign of an hour."""
    bench = Bench(store, protocol=replace(STANDARD, budget_ns=3_600_000_000_000))
    bench.measure(bench.next()[0])
    assert bench.next() != []
    bench.measure(bench.next()[0], took_ns=3_600_000_000_000)
    assert bench.next() == []


def test_what_was_only_queued_spends_no_budget(store):
    """A cancelled campaign that is resumed has its time still before it."""
    bench = Bench(store, protocol=replace(STANDARD, budget_ns=40_000_000_000))
    bench.measure(bench.next()[0], took_ns=1)
    for order in bench.next():
        bench.queue(replace(order, plan=replace(order.plan, idle_ns=10**12)))
        bench.store.end_attempt(order.plan.block_id, order.plan.attempt, "cancelled")
    assert bench.next() != []


def test_a_resumed_campaign_has_its_budget_again(store):
    """It ended because its time was spent; resumed, it goes on for as long again and not for ever."""
    bench = Bench(store, protocol=replace(STANDARD, budget_ns=100 * 10**9))
    bench.measure(bench.next()[0], took_ns=60 * 10**9)
    assert bench.next() == []
    bench.begin()
    for _ in range(3):
        bench.measure(bench.next()[0], took_ns=25 * 10**9)
    assert bench.next() != [], "a fourth block of 25 s fits into 100 s"
    bench.measure(bench.next()[0], took_ns=25 * 10**9)
    assert bench.next() == []


def attempt(**changes):
    values = {"block_id": "b", "attempt": 1, "campaign_id": CAMPAIGN_ID, "device": "board", "number": 1,
              "state": "done", "expected_ns": 5, "queued_utc": "2030-01-01T00:00:00.000000Z"}
    return BlockAttempt(**(values | changes))


def test_how_long_a_block_took_is_known_from_both_ends():
    """One alone says nothing."""
    begun, ended = "2030-01-01T00:00:00.500000Z", "2030-01-01T00:01:00.000000Z"
    assert took_s(attempt(started_utc=begun, ended_utc=ended)) == 59.5
    assert took_s(attempt(started_utc=begun)) is None
    assert took_s(attempt(ended_utc=ended)) is None
    assert took_s(attempt(started_utc=ended, ended_utc=begun)) is None, "a clock that was set back"
    assert took_s(attempt(started_utc=begun, ended_utc=begun)) == 0


def test_a_block_whose_times_make_no_sense_spends_what_it_should_take(bench):
    """Less than nothing would give the campaign time that it does not have."""
    order = bench.next()[0]
    bench.queue(order)
    bench.store.end_attempt(order.plan.block_id, 1, "done", took_ns=-5 * 10**12)
    (found,) = bench.store.attempts(CAMPAIGN_ID)
    assert found.started_utc > found.ended_utc
    assert _spent(bench.work(), bench.services) == Spent(ns=expected_ns(order.plan), blocks=1)


@pytest.mark.parametrize("ahead_s", [-86_400, 86_400, 40 * 365 * 86_400])
def test_a_clock_that_is_wrong_for_a_while_changes_no_decision(lab_home, ahead_s):
    """Measured while the clock was off, set right, resumed: two empty blocks in a row give the cells up, as always."""
    shift_s = [ahead_s]
    with Store.open(lab_home, clock=lambda: before(utc_now(), -shift_s[0] * 10**9)) as store:
        bench = Bench(store, protocol=STANDARD)
        bench.measure(bench.next()[0], took_ns=10**9)
        shift_s[0] = 0
        bench.begin()
        assert len(bench.next()) > 0
        for _ in range(2):
            bench.measure(bench.next()[0], missing=[INT8], took_ns=10**9)
        assert INT8.id not in {window.cell_id for order in bench.next() for window in order.plan.windows}
        assert "brought no usable recording" in bench.state(INT8)[1]
        assert _spent(bench.work(), bench.services) == Spent(ns=2 * 10**9, blocks=2), "since it was resumed"


@pytest.mark.parametrize(("windows", "reason"), [
    ([], None),
    ([{}], None),
    ([{"error": "no such operator"}], "no such operator"),
    ([{"error": "no such operator"}, {}], None),
    ([{"flags": (SPOILT,)}], "the model answers NaN"),
    ([{"flags": (DIED,), "error": "killed"}], None),
    ([{"flags": (DIED,), "error": "killed"}, {}], None),
    ([{}, {"flags": (DIED,), "error": "killed"}], None),
    ([{"flags": (DIED,), "error": "first"}, {"flags": (DIED,), "error": "second"}], "second"),
    ([{"flags": (DIED,)}, {"flags": (DIED,)}], "the measuring process died"),
])
def test_a_death_may_be_bad_luck_an_error_is_not(windows, reason):
    """Only the last two windows count, and one death among them is none."""
    assert why_hopeless([window(**changes) for changes in windows]) == reason


@given(st.lists(st.sampled_from([{}, {"error": "bad"}, {"flags": (DIED,), "error": "killed"}]), max_size=6))
def test_what_lies_further_back_does_not_matter(windows):
    """A cell is judged by its last two windows."""
    made = [window(**changes) for changes in windows]
    assert why_hopeless(made) == why_hopeless(made[-2:])


@pytest.mark.parametrize(("done", "protocol", "unfinished"), [
    (0, QUICK, True), (2, QUICK, True), (3, QUICK, False),
    (2, replace(QUICK, blocks_max=2), False),
    (5, STANDARD, True), (6, replace(STANDARD, target_ci_ratio=1.0), False),
])
def test_a_cell_is_unfinished_until_its_protocol_is_content(store, done, protocol, unfinished):
    """Quick: three blocks; standard: six and an interval that is narrow enough."""
    bench = Bench(store, protocol=replace(protocol, blocks_max=30) if done < protocol.blocks_max else protocol)
    orders = Bench(store, protocol=replace(STANDARD, target_ci_ratio=1e-9))
    for _ in range(done):
        orders.measure(orders.next()[0])
    result = conclude_device(CAMPAIGN_ID, orders.cells, orders.services).get(INT8.id)
    campaign = replace(bench.campaign, protocol=protocol)
    assert is_unfinished(INT8, result, campaign, bench.services) is unfinished


def test_the_half_width_is_relative_and_may_be_unknown():
    """Without an interval there is none."""
    known = samples.result(INT8.id, latency_p50_ns=Interval(value=2.0, low=1.5, high=2.1))
    assert half_width_ratio(known) == pytest.approx(0.15)
    assert half_width_ratio(replace(known, latency_p50_ns=Interval(value=2.0, low=None, high=None))) is None
    assert half_width_ratio(replace(known, latency_p50_ns=None)) is None
    assert half_width_ratio(None) is None


def test_what_a_block_should_take_counts_every_start(bench):
    """Idles, warm-ups, windows, and a second for each worker's start."""
    plan = bench.next()[0].plan
    assert expected_ns(plan) == 2 * QUICK.idle_ns + 2 * (QUICK.warmup_ns + QUICK.window_ns + 1_000_000_000)
