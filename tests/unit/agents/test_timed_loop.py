"""The loops end when they should, store every latency, and leave nothing but the inference between clock reads."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.timed_loop import CHUNK, RESERVE_MAX, Bounds, Timed, back_to_back, latency_array, paced, reserve, warm_up

FAR_NS = 2**62


class Stage:
    """A clock, a sleep and an inference on one time line; `log` says in which order they were used."""

    def __init__(self, durations_ns, read_ns=0):
        self.now_ns = 0
        self._durations = list(durations_ns)
        self._read_ns = read_ns
        self.log = []

    def clock(self):
        self.log.append("clock")
        self.now_ns += self._read_ns
        return self.now_ns

    def infer(self):
        self.log.append("infer")
        self.now_ns += self._durations.pop(0) if len(self._durations) > 1 else self._durations[0]

    def sleep(self, seconds):
        self.log.append("sleep")
        self.now_ns += round(seconds * 1e9)


def run(stage, latency_ns=None, **bounds):
    latency_ns = latency_array() if latency_ns is None else latency_ns
    values = {"length_ns": 1000, "inferences_min": 1, "stop_by_ns": FAR_NS, **bounds}
    return latency_ns, back_to_back(stage.infer, latency_ns, Bounds(**values), stage.clock)


def run_paced(stage, rate_hz, deadline_ns=None, **bounds):
    latency_ns = latency_array()
    values = {"length_ns": 1000, "inferences_min": 1, "stop_by_ns": FAR_NS, **bounds}
    return latency_ns, paced(stage.infer, latency_ns, Bounds(**values), rate_hz, deadline_ns, stage.clock, stage.sleep)


def test_each_inference_is_between_two_clock_reads_and_nothing_else_is():
    stage = Stage([100])
    _, timed = run(stage)
    assert stage.log == ["clock"] + ["clock", "infer", "clock"] * timed.inferences


@given(st.lists(st.integers(1, 500), min_size=1, max_size=30), st.integers(0, 3000), st.integers(0, 40))
def test_it_ends_with_the_first_inference_that_satisfies_both_time_and_count(durations, length_ns, inferences_min):
    latency_ns, timed = run(Stage(durations), length_ns=length_ns, inferences_min=inferences_min)
    assert len(latency_ns) == timed.inferences >= max(1, inferences_min)
    assert list(latency_ns[:len(durations)]) == durations[:timed.inferences]
    assert timed.end_ns - timed.start_ns == sum(latency_ns) >= length_ns
    before_last = sum(latency_ns) - latency_ns[-1]
    assert before_last < length_ns or timed.inferences - 1 < inferences_min or timed.inferences == 1


@given(st.integers(1, 500), st.integers(0, 3000), st.integers(1, 3000))
def test_it_stops_by_itself_before_the_deadline_would_kill_it(duration_ns, length_ns, stop_by_ns):
    _, timed = run(Stage([duration_ns]), length_ns=length_ns, inferences_min=10**6, stop_by_ns=stop_by_ns)
    assert stop_by_ns <= timed.end_ns < stop_by_ns + duration_ns


@pytest.mark.parametrize("most", [1, 7, CHUNK, CHUNK + 5])
def test_the_cap_on_inferences_holds(most):
    latency_ns, timed = run(Stage([1]), length_ns=FAR_NS // 2, inferences_max=most)
    assert timed.inferences == len(latency_ns) == most


def test_the_array_grows_without_losing_a_value():
    latency_ns, timed = run(Stage([1]), length_ns=2 * CHUNK + 10)
    assert timed.inferences == len(latency_ns) == 2 * CHUNK + 10
    assert set(latency_ns) == {1}


def run_warm_up(stage, room, **bounds):
    warmup_ns, lengths = latency_array()[:room], []
    values = {"length_ns": 1000, "inferences_min": 0, "stop_by_ns": FAR_NS, **bounds}
    timed = warm_up(stage.infer, warmup_ns, Bounds(**values), lambda: lengths.append(len(warmup_ns)), stage.clock)
    return warmup_ns, timed, lengths


@given(st.integers(1, 50), st.integers(1, 300), st.integers(0, 3000), st.integers(1, 40), st.integers(1, 3000))
def test_a_warm_up_is_one_loop_that_says_once_when_it_would_grow(room, duration_ns, length_ns, most, stop_by_ns):
    bounds = {"length_ns": length_ns, "inferences_max": most, "stop_by_ns": stop_by_ns}
    warmup_ns, timed, lengths = run_warm_up(Stage([duration_ns]), room, **bounds)
    plain = run(Stage([duration_ns]), **{**bounds, "inferences_max": max(most, 1)})
    assert (list(warmup_ns), timed) == (list(plain[0]), plain[1])
    assert lengths == [min(room, timed.inferences)]


def test_a_paced_load_starts_each_inference_when_it_is_due():
    stage = Stage([30])
    latency_ns, timed = run_paced(stage, rate_hz=1e7)  # a period of 100 ns
    assert timed == Timed(0, 1000, 10, None)
    assert list(latency_ns) == [30] * 10


def test_the_idle_part_after_the_last_inference_belongs_to_the_window():
    _, timed = run_paced(Stage([30]), rate_hz=1e6, length_ns=500)
    assert (timed.inferences, timed.end_ns) == (1, 1000)


def test_late_inferences_queue_up_and_miss_their_deadlines():
    stage = Stage([350, 30])
    latency_ns, timed = run_paced(stage, rate_hz=1e7, deadline_ns=100)
    assert list(latency_ns) == [350] + [30] * 9
    # due at 0, 100, 200, 300, 400: done at 350, 380, 410, 440, 470
    assert timed.misses == 4
    assert timed.inferences == 10


def test_without_a_deadline_misses_are_not_known():
    assert run_paced(Stage([350]), rate_hz=1e7)[1].misses is None


@given(st.lists(st.integers(1, 400), min_size=1, max_size=20), st.integers(0, 300))
def test_misses_are_those_that_ended_later_than_due_plus_deadline(durations, deadline_ns):
    latency_ns, timed = run_paced(Stage(durations), rate_hz=1e7, deadline_ns=deadline_ns, length_ns=2000)
    end_ns, late = 0, 0
    for index, latency in enumerate(latency_ns):
        end_ns = max(end_ns, index * 100) + latency
        late += end_ns - index * 100 > deadline_ns
    assert timed.misses == late
    assert timed.inferences == len(latency_ns) == 20


def test_a_paced_load_too_slow_for_its_minimum_stops_before_the_deadline():
    _, timed = run_paced(Stage([10]), rate_hz=1e7, inferences_min=10**6, stop_by_ns=5000)
    assert (timed.inferences, timed.end_ns) == (50, 5000)


def test_a_paced_load_obeys_the_cap():
    latency_ns, timed = run_paced(Stage([10]), rate_hz=1e7, length_ns=10**9, inferences_max=CHUNK + 3)
    assert len(latency_ns) == timed.inferences == CHUNK + 3


@pytest.mark.parametrize(("warmup", "length_ns", "expected"), [
    (Timed(0, 1000, 10, None), 1000, CHUNK),  # 12 are expected, room for CHUNK is there already
    (Timed(0, 1000, 1000, None), 1_000_000, 1_200_000),
    (Timed(0, 0, 1, None), 10**12, RESERVE_MAX),
])
def test_room_is_made_for_what_the_warm_up_lets_expect(warmup, length_ns, expected):
    latency_ns = latency_array()
    reserve(latency_ns, length_ns, warmup)
    assert len(latency_ns) == expected
