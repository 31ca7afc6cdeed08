"""Clock offsets: the true one is always inside the stated uncertainty."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.devices.clock_sync import Exchange, check, estimate
from lab.domain.recording import ClockSync
from lab.errors import ProtocolMismatch

ways_ns = st.integers(0, 10**9)


def exchange(start_ns, there_ns, inside_ns, back_ns, offset_ns):
    """Agent clock = host clock − offset."""
    t1_ns = start_ns + there_ns - offset_ns
    return Exchange(start_ns, t1_ns, t1_ns + inside_ns, start_ns + there_ns + inside_ns + back_ns)


@given(st.integers(-10**15, 10**15), st.lists(st.tuples(ways_ns, ways_ns, ways_ns), min_size=1, max_size=20))
def test_the_truth_is_within_the_uncertainty_whatever_the_delays(offset_ns, delays):
    sync = estimate([exchange(1000 * index, *delay, offset_ns) for index, delay in enumerate(delays)])
    assert abs(sync.offset_ns - offset_ns) <= sync.uncertainty_ns
    assert sync.exchanges == len(delays)
    assert sync.drift_ppm is None


def test_the_fastest_exchange_decides():
    slow, fast = exchange(0, 9_000, 5, 1_000, 77), exchange(50_000, 100, 7_000, 100, 77)
    assert estimate([slow, fast, slow]) == ClockSync(offset_ns=77, uncertainty_ns=101, drift_ppm=None, exchanges=3)


def test_even_a_perfect_exchange_is_uncertain_by_a_tick():
    assert estimate([exchange(0, 0, 0, 0, 5)]).uncertainty_ns == 1


@pytest.mark.parametrize("impossible", [
    Exchange(0, 100, 99, 1000),
    Exchange(0, 100, 2000, 1000),
])
def test_readings_that_cannot_be_true_are_refused(impossible):
    with pytest.raises(ProtocolMismatch, match=r"clock readings .* contradict"):
        check(impossible, "pi")


def test_possible_readings_pass():
    fine = exchange(0, 10, 10, 10, -5)
    assert check(fine, "pi") is fine


def test_no_exchange_is_no_estimate():
    with pytest.raises(ValueError, match="empty"):
        estimate([])
