"""Where a campaign stands, told from store and roster alone: in every state, and where something is missing."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.campaigns.base import Services
from lab.campaigns.standing import DeviceStanding, WorkerSeen, _campaign_eta_s, _device_eta_s, standing
from lab.domain.campaign import PROTOCOLS
from lab.domain.queue import BlockAttempt
from lab.errors import NotFound
from lab.store.store import Store
from tests.support import samples

ID = "c0ffee0123456789"
UTC = "2030-01-01T00:00:00.000000Z"
S = 10**9
BASELINE, INT8 = samples.cell(), samples.cell(samples.INT8)


def never(*_args, **_kwargs):
    raise AssertionError("nothing but store and roster may be asked")


@pytest.fixture
def store(lab_home):
    with Store.open(lab_home) as opened:
        opened.save_device(samples.DEVICE)
        opened.save_campaign(ID, samples.campaign(), samples.WORKLOAD_SHA256, "")
        opened.save_cells(ID, [BASELINE, INT8])
        opened.set_campaign_state(ID, "measuring")
        yield opened


@pytest.fixture
def services(store):
    return Services(home=store.home, store=store, bundle=never, transport=never, workload=never, compress=never,
                    owner="ada", home_id="home", profile=lambda _name: (samples.profile(), "b" * 64))


def worker(*roles, is_alive=True, **doing):
    return WorkerSeen(roles=roles or ("controller", "compress", "devices:controller"), is_alive=is_alive, doing=doing)


def seen_with(services, *seen):
    return standing(ID, seen, services)


def device(services, *seen):
    """The campaign's one device; a worker is there unless others are given."""
    (found,) = seen_with(services, *(seen or (worker(),))).devices
    return found


def cells(store, baseline, int8, failure=None):
    store.set_cell_state(ID, BASELINE.id, baseline)
    store.set_cell_state(ID, INT8.id, int8, failure)


def attempt(store, block_id="b", state="queued", campaign_id=ID, took_ns=None, expected_ns=None, name="board"):
    store.queue_attempt(BlockAttempt(block_id=block_id, attempt=1, campaign_id=campaign_id, device=name, number=0,
                                     state="queued", expected_ns=expected_ns, queued_utc=UTC))
    if state != "queued":
        store.end_attempt(block_id, 1, state, took_ns=took_ns)


class TestCampaign:
    def test_an_unknown_one_is_not_found(self, services):
        with pytest.raises(NotFound):
            standing("unknown", (), services)

    def test_one_that_is_not_planned_yet_has_no_devices_and_no_end(self, services, store):
        store.save_campaign("other", samples.campaign(name="other"), samples.WORKLOAD_SHA256, "", priority=3)
        found = standing("other", (), services)
        assert (found.name, found.priority, found.devices, found.eta_s, found.cells_total) == ("other", 3, (), None, 0)

    def test_it_counts_cells_and_says_whose_it_is(self, services, store):
        cells(store, "done", "failed", "no such layer")
        found = seen_with(services)
        assert (found.owner, found.cells_total, found.cells_done, found.cells_failed) == ("ada@host", 2, 1, 1)

    def test_devices_are_told_apart_in_the_order_of_their_cells(self, services, store):
        store.save_device(replace(samples.DEVICE, name="aaa"))
        more = [samples.cell(device="aaa"), samples.cell(samples.INT8, device="aaa")]
        store.save_cells(ID, [BASELINE, INT8, *more])
        cells(store, "done", "done")
        found = seen_with(services, worker()).devices
        assert [(each.device, each.state, each.cells) for each in found] == [
            ("board", "done", {"done": 2}), ("aaa", "preparing", {"pending": 2})]


class TestStates:
    @pytest.mark.parametrize(("baseline", "int8", "state", "text"), [
        ("done", "done", "done", ""), ("done", "failed", "partial", "no such layer"),
        ("failed", "failed", "failed", "no such layer"),
    ])
    def test_what_is_over_says_how_and_needs_no_worker(self, services, store, baseline, int8, state, text):
        cells(store, baseline, int8, "no such layer" if int8 == "failed" else None)
        found = device(services, worker(is_alive=False))
        assert (found.state, found.text, found.eta_s) == (state, text, None)

    def test_held_cells_say_why(self, services, store):
        cells(store, "done", "held", "board is quarantined: smells burnt")
        found = device(services, worker(is_alive=False))
        assert (found.state, found.text, found.eta_s) == ("held", "board is quarantined: smells burnt", None)

    @pytest.mark.parametrize(("host", "command"), [
        ("controller", "`lab worker`"), ("bench-2", "`lab worker --agent-host bench-2`")])
    @pytest.mark.parametrize("seen", [(), (worker(is_alive=False),), (worker("devices:elsewhere"),)])
    def test_without_a_worker_there_it_says_how_to_start_one(self, services, store, host, command, seen):
        store.save_device(replace(samples.DEVICE, agent_host=host))
        (found,) = seen_with(services, *seen).devices
        assert (found.state, found.agent_host) == ("waiting", host)
        assert found.text == f"for a worker at {host}: start {command}"

    def test_a_worker_of_the_devices_host_is_enough(self, services, store):
        store.save_device(replace(samples.DEVICE, agent_host="bench-2"))
        assert device(services, worker("devices:bench-2", board="connecting")).state == "preparing"
        assert device(services, worker("devices:bench-2", board="connecting")).text == "connecting"

    def test_artifacts_to_make_are_counted(self, services, store):
        cells(store, "ready", "compressing")
        found = device(services)
        assert (found.state, found.text) == ("compressing", "1 of 2 artifacts to make")

    def test_a_block_that_runs_says_which_and_what_it_does(self, services, store):
        cells(store, "measuring", "measuring")
        attempt(store, "b1", "done")
        attempt(store, "b2")
        found = device(services, worker(board="window 3 of 5"))
        assert (found.state, found.text) == ("measuring", "block 2 of 3: window 3 of 5")
        assert (found.blocks_done, found.blocks_planned) == (1, 3)

    def test_what_a_dead_worker_said_last_is_not_told(self, services, store):
        cells(store, "measuring", "measuring")
        assert device(services, worker(is_alive=False, board="window 9"), worker()).text == "block 1 of 3"

    def test_a_block_that_waits_for_somebody_is_waiting(self, services, store):
        cells(store, "measuring", "measuring")
        found = device(services, worker(board="waiting: this machine computes"))
        assert (found.state, found.text) == ("waiting", "block 1 of 3: waiting: this machine computes")

    def test_more_blocks_than_were_planned_at_first_are_planned(self, services, store):
        cells(store, "measuring", "measuring")
        for number in range(4):
            attempt(store, f"b{number}", "done")
        found = device(services)
        assert (found.text, found.blocks_done, found.blocks_planned) == ("block 5 of 5", 4, 4)

    def test_who_shares_the_device_is_counted(self, services, store):
        cells(store, "measuring", "measuring")
        attempt(store, "mine")
        for other in ("other-1", "other-2"):
            store.save_campaign(other, samples.campaign(name=other), samples.WORKLOAD_SHA256, "")
            attempt(store, f"{other}-a", campaign_id=other)
            attempt(store, f"{other}-b", campaign_id=other)
        store.save_campaign("over", samples.campaign(name="over"), samples.WORKLOAD_SHA256, "")
        attempt(store, "over-a", "done", campaign_id="over")
        assert device(services).text == "block 1 of 3; shares the device with 2 more"

    def test_failed_and_cancelled_attempts_are_no_blocks(self, services, store):
        cells(store, "measuring", "measuring")
        for number, state in enumerate(("failed", "cancelled", "void")):
            attempt(store, f"b{number}", state)
        assert device(services).blocks_done == 0


class TestCampaignsThatEnded:
    """Cells may be open then, but nothing happens to them."""

    def test_a_cancelled_one_measures_no_more(self, services, store):
        cells(store, "measuring", "measuring")
        attempt(store, expected_ns=60 * S)
        store.set_campaign_state(ID, "cancelled")
        found = seen_with(services)
        assert (found.eta_s, found.devices[0].eta_s) == (None, None)
        assert (found.devices[0].state, found.devices[0].text) == ("cancelled", "`lab campaigns resume` goes on")

    def test_one_that_broke_says_why(self, services, store):
        cells(store, "done", "waiting")
        store.set_campaign_state(ID, "failed", "the workload is gone")
        found = device(services)
        assert (found.state, found.text) == ("failed", "the workload is gone")

    def test_a_cell_that_is_done_stays_so(self, services, store):
        cells(store, "done", "done")
        store.set_campaign_state(ID, "cancelled")
        assert device(services).state == "done"


class TestRemovedDevice:
    def test_its_results_are_told_as_before(self, services, store):
        """Somebody removed it after it was measured: the campaign can be looked at all the same."""
        data = samples.recording(cell_id=BASELINE.id, attempt=1)
        store.ingest_window(data, campaign_id=ID, device="board", block_number=1)
        cells(store, "done", "done")
        store.remove_device("board")
        found = device(services)
        assert (found.state, found.agent_host, found.half_width_ratio) == ("done", "?", None)

    def test_what_is_open_says_that_it_was_removed(self, services, store):
        store.remove_device("board")
        found = device(services)
        assert found.state == "waiting"
        assert "lab devices add board" in found.text
        assert "--agent-host ?" not in found.text


class TestHalfWidth:
    def test_there_is_none_before_there_is_an_interval(self, services, store):
        assert device(services).half_width_ratio is None
        store.ingest_window(samples.recording(cell_id=BASELINE.id), campaign_id=ID, device="board", block_number=1)
        assert device(services).half_width_ratio is None

    def test_it_comes_with_the_third_block(self, services, store):
        for number in range(1, 4):
            data = samples.recording(cell_id=BASELINE.id, block_id=f"block-{number}")
            store.ingest_window(data, campaign_id=ID, device="board", block_number=number)
        assert device(services).half_width_ratio == pytest.approx(0.0, abs=1e-9), "three equal blocks"


class TestTimeLeft:
    def test_it_is_unknown_before_anything_can_tell(self, services):
        assert (device(services).eta_s, seen_with(services, worker()).eta_s) == (None, None)

    def test_what_blocks_should_take_tells_until_one_has_ended(self, services, store):
        attempt(store, "b1", expected_ns=60 * S)
        assert device(services).eta_s == pytest.approx(180)
        attempt(store, "b0", "done", took_ns=100 * S)
        assert device(services).eta_s == pytest.approx(200)
        assert seen_with(services, worker()).eta_s == pytest.approx(200)

    def test_blocks_whose_times_make_no_sense_are_left_out(self, services, store):
        attempt(store, "b0", "done", took_ns=-100 * S, expected_ns=60 * S)
        assert device(services).eta_s == pytest.approx(120)

    def test_queued_blocks_beyond_the_plan_count(self, services, store):
        for number in range(3):
            attempt(store, f"b{number}", "done", took_ns=10 * S)
        assert device(services).eta_s == 0
        attempt(store, "b3")
        assert device(services).eta_s == pytest.approx(10)


@pytest.mark.parametrize("preset", ["quick", "standard"])
def test_every_group_has_its_blocks(services, store, preset):
    """Two settings are two groups: twice the blocks."""
    protocol = PROTOCOLS[preset]
    settings = [BASELINE.settings, replace(BASELINE.settings, threads=2)]
    store.save_cells(ID, [samples.cell(technique, settings=each, protocol=protocol)
                          for each in settings for technique in (samples.BASELINE, samples.INT8)])
    assert device(services).blocks_planned == 2 * max(protocol.blocks_min, 3)


def one(name, eta_s, state="measuring", host="controller"):
    return DeviceStanding(device=name, agent_host=host, state=state, text="", cells={}, blocks_done=0,
                          blocks_planned=0, half_width_ratio=None, eta_s=eta_s)


class TestWholeCampaign:
    @pytest.fixture
    def left(self, services, store):
        """Seconds left for devices given as (url, seconds, host)."""
        def ask(*devices):
            lines = []
            for number, (url, eta_s, host) in enumerate(devices):
                name = f"d{number}"
                store.save_device(replace(samples.DEVICE, name=name, url=url, agent_host=host))
                lines.append(one(name, eta_s, host=host))
            return _campaign_eta_s(lines, services)

        return ask

    def test_devices_apart_work_side_by_side(self, left):
        assert left(("ssh://a", 10.0, "x"), ("ssh://b", 30.0, "x")) == 30.0

    def test_devices_of_one_machine_take_turns(self, left):
        assert left(("local", 10.0, "x"), ("virtual://pi", 30.0, "x"), ("ssh://b", 20.0, "x")) == 40.0

    def test_those_of_different_machines_do_not(self, left):
        assert left(("local", 10.0, "x"), ("virtual://pi", 30.0, "y")) == 30.0

    def test_one_that_cannot_tell_leaves_it_open(self, left):
        assert left(("ssh://a", 10.0, "x"), ("ssh://b", None, "x")) is None

    @pytest.mark.parametrize("state", ["done", "failed", "partial", "held", "cancelled"])
    def test_those_that_are_over_or_held_do_not_count(self, services, state):
        assert _campaign_eta_s([one("a", None, state), one("board", 5.0)], services) == 5.0
        assert _campaign_eta_s([one("a", None, state)], services) == 0.0


@given(took=st.lists(st.integers(-10**15, 10**15), max_size=6), queued=st.integers(0, 4), planned=st.integers(0, 20))
def test_time_left_is_never_less_than_none(took, queued, planned):
    """Whatever a clock did while blocks ran."""
    def text(second):
        return f"{2000 + second // 10**13}-01-01T00:00:{second % 60:02d}.000000Z"

    base = BlockAttempt(block_id="b", attempt=1, campaign_id=ID, device="board", number=0, state="done",
                        expected_ns=None, queued_utc=UTC)
    attempts = [replace(base, started_utc=text(abs(ns)), ended_utc=text(abs(ns // 7))) for ns in took]
    attempts += [replace(base, state="queued", expected_ns=S)] * queued
    left_s = _device_eta_s(attempts, planned)
    assert left_s is None or left_s >= 0


def test_why_the_controller_can_store_nothing_is_shown_while_it_lasts(store, services):
    """It says so under a subject of its own; a dead controller's last word counts for nothing, an empty one is none."""
    cells(store, "measuring", "measuring")
    text = "cannot write the recording: the disk is full"
    stuck = device(services, worker(storage=f"waiting: {text}"))
    assert (stuck.state, stuck.text) == ("waiting", text)
    for seen in (worker(storage=""), worker()):
        assert device(services, seen).state == "measuring"
    dead = worker("controller", is_alive=False, storage=f"waiting: {text}")
    assert device(services, dead, worker()).state == "measuring"


def test_why_an_artifact_is_made_again_is_shown(store, services):
    """Not a failure of another cell."""
    cells(store, "done", "compressing")
    assert device(services).state == "compressing"
    cells(store, "done", "compressing", "the compress worker's files are out of reach")
    stuck = device(services)
    assert (stuck.state, stuck.text) == ("waiting", "the compress worker's files are out of reach")
