"""The sampler keeps an absolute schedule with jitter, counts what it missed, and loses nothing it read."""

import errno
import subprocess
import sys
import time
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.probe_set import OpenProbe
from agents.probes.base import Channel, Reading
from agents.sampler import MAX_SAMPLES, MISSED, Sampler, Series
from tests.support.fake_probes import Hanging, Steady

_S = 1_000_000_000


class Time:
    """A clock that stands still except while somebody sleeps or reads."""

    def __init__(self, sleeps):
        self.now_ns = 0
        self.left = sleeps
        self.woken_ns = []

    def clock(self):
        return self.now_ns

    def wait(self, seconds):
        self.now_ns += int(seconds * _S)
        self.left -= 1
        if self.left < 0:
            return True
        self.woken_ns.append(self.now_ns)
        return False


class Slow:
    """A probe whose reads take the times given, then none."""

    def __init__(self, time_, durations_ns):
        self._time, self._durations = time_, list(durations_ns)

    def read(self):
        before = self._time.now_ns
        self._time.now_ns += self._durations.pop(0) if self._durations else 0
        return (Reading(before, self._time.now_ns, 1),)


POWER = Channel("in", "power_w", "sample", 1.0)


def sampler_over(probe, channels, rate_hz, clock, seed=0):
    return Sampler([OpenProbe("p", probe, channels)], rate_hz, seed=seed, clock=clock)


@given(st.integers(0, 1000), st.integers(1, 200), st.sampled_from([1.0, 50.0, 1000.0]))
def test_sample_k_falls_into_its_own_slot_and_the_schedule_does_not_drift(seed, count, rate_hz):
    fake = Time(count)
    sampler_over(Slow(fake, []), (POWER,), rate_hz, fake.clock, seed).loop(fake.wait)
    period_ns = int(_S / rate_hz)
    for index, t_ns in enumerate(fake.woken_ns, start=1):
        assert abs(t_ns - index * period_ns) <= period_ns // 2 + index  # a nanosecond of rounding per sleep


def test_the_phase_moves_between_samples():
    fake = Time(100)
    sampler_over(Slow(fake, []), (POWER,), 1.0, fake.clock).loop(fake.wait)
    phases = [t_ns % _S for t_ns in fake.woken_ns]
    assert max(phases) - min(phases) > 0.9 * _S


def overruns_of(sampler, fake):
    sampler.loop(fake.wait)
    return sampler.overruns


def test_slots_that_passed_during_a_slow_read_are_skipped_and_counted():
    fake = Time(10)
    probe = Slow(fake, [0, 4 * _S])  # the second read blocks for four periods
    assert 3 <= overruns_of(sampler_over(probe, (POWER,), 1.0, fake.clock), fake) <= 4
    assert fake.woken_ns[-1] > 10 * _S  # and the schedule is still the old one


def test_a_fast_probe_overruns_nothing():
    fake = Time(500)
    assert overruns_of(sampler_over(Slow(fake, []), (POWER,), 50.0, fake.clock), fake) == 0


def test_a_real_thread_samples_from_start_to_stop_and_reports_its_own_cost():
    probe = Steady()
    sampler = Sampler([OpenProbe("steady", probe, probe.discover(None))], 200.0)
    before_ns = time.monotonic_ns()
    sampler.start()
    time.sleep(0.2)
    samples = sampler.stop()
    after_ns = time.monotonic_ns()
    counter, power = samples.series
    assert samples.is_complete
    assert samples.samples == len(counter.t) == len(power.raw) >= 3
    assert list(counter.raw) == list(range(1, samples.samples + 1))
    assert before_ns <= counter.t[0] < counter.t[-1] <= after_ns
    assert set(counter.span) == {10}
    assert set(power.span) == {20}
    assert 0 < samples.cpu_ns < after_ns - before_ns


def test_without_probes_the_thread_does_nothing():
    sampler = Sampler([], 50.0)
    sampler.start()
    samples = sampler.stop()
    assert samples.account()["samples"] == 0
    assert samples.is_complete


class Failing:
    """Fails as told."""

    def __init__(self, error):
        self._error = error

    def read(self):
        raise self._error


def test_a_sensor_that_goes_away_is_a_missed_read_with_its_errno():
    sampler = Sampler([OpenProbe("p", Failing(OSError(errno.ENODEV, "gone")), (POWER, POWER))], 100.0)
    sampler.start()
    samples = sampler.stop()
    for series in samples.series:
        assert set(series.raw) == {MISSED}
        assert series.errors == [(n, errno.ENODEV) for n in range(len(series.raw))]


def test_a_defective_probe_ends_the_thread_and_that_is_known():
    code = ("from agents.probe_set import OpenProbe; from agents.probes.base import Channel; "
            "from agents.sampler import Sampler\n"
            "class Defective:\n"
            "    def read(self): return 1 / 0\n"
            "channel = Channel('in', 'power_w', 'sample', 1.0)\n"
            "sampler = Sampler([OpenProbe('p', Defective(), (channel,))], 100.0)\n"
            "sampler.start(); print(sampler.stop().is_complete)")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "False\n"
    assert "ZeroDivisionError" in done.stderr


@st.composite
def readings(draw):
    before_ns = draw(st.integers(0, 2**60))
    raw = draw(st.none() | st.integers(-2**63, 2**63 - 1))
    return Reading(before_ns, before_ns + draw(st.integers(0, 2**30)), raw, draw(st.integers(1, 133)) * (raw is None))


@given(st.lists(readings(), max_size=30))
def test_every_reading_is_kept_and_every_failure_has_its_index(found):
    series = Series(POWER)
    for reading in found:
        series.add(reading)
    assert len(series.t) == len(series.raw) == len(series.span) == len(found)
    assert series.errors == [(n, r.errno) for n, r in enumerate(found) if r.raw is None]
    for n, reading in enumerate(found):
        assert reading.t_before_ns <= series.t[n] <= reading.t_after_ns
        assert series.raw[n] == (MISSED if reading.raw is None else reading.raw)


@pytest.mark.parametrize("raw", [2**63, -2**63 - 1, 2**64])
def test_a_value_no_trace_can_hold_is_a_failure_not_another_value(raw):
    series = Series(POWER)
    series.add(Reading(1, 2, raw))
    assert series.errors == [(0, errno.ERANGE)]


@pytest.mark.parametrize(("quantity", "raw"), [("temperature_c", -(2**31)), ("temperature_c", 300_001),
                                               ("frequency_hz", 0), ("frequency_hz", 10**16)])
def test_a_value_the_channel_cannot_mean_is_a_failed_read(quantity, raw):
    series = Series(Channel("cpu", quantity, "sample", 1e-3))
    series.add(Reading(1, 2, raw))
    series.add(Reading(3, 4, 20_000))
    assert series.errors == [(0, errno.ERANGE)]
    assert list(series.raw) == [MISSED, 20_000]


def test_a_copy_holds_whole_readings_only_and_does_not_change():
    series = Series(POWER)
    series.add(Reading(1, 3, 5))
    series.errors.append((1, errno.EIO))  # as far as a thread may have come with the second reading
    series.t.append(7)
    series.raw.append(MISSED)
    copied = series.copy()
    series.span.append(1)
    assert [list(one) for one in (copied.t, copied.raw, copied.span)] == [[2], [5], [2]]
    assert copied.errors == []


@pytest.mark.parametrize("good", [0, 1])
def test_a_read_that_hangs_does_not_hold_the_block(good):
    steady, stuck = Steady(), Hanging(good)
    probes = [OpenProbe("steady", steady, steady.discover(None)), OpenProbe("stuck", stuck, stuck.discover(None))]
    sampler = Sampler(probes, 200.0, hanging_s=0.2)
    try:
        sampler.start()
        samples = sampler.stop()
        lengths = [len(one.t) for one in samples.series]
        assert not samples.is_complete
        assert samples.hanging == "stuck"
        assert samples.account()["cpu_ns"] is None
    finally:
        stuck.released.set()
    assert lengths == [len(one.t) for one in samples.series]
    assert lengths[-1] <= good


def test_beyond_the_cap_samples_are_counted_not_kept():
    series = Series(POWER)
    series.t = array("q", bytes(8 * MAX_SAMPLES))
    series.add(Reading(1, 2, 3))
    assert series.dropped == 1
    assert len(series.raw) == 0


def test_traces_name_their_arrays_and_carry_the_channel():
    probe = Steady()
    sampler = Sampler([OpenProbe("steady", probe, probe.discover(None))], 100.0)
    sampler.start()
    samples = sampler.stop()
    listing, arrays = samples.traces("agent:boot-1")
    assert [trace["rail"] for trace in listing] == ["package", "in"]
    assert listing[0]["wrap_at"] == 2**32
    assert listing[1]["wrap_at"] is None
    assert {trace["clock"] for trace in listing} == {"agent:boot-1"}
    for trace, series in zip(listing, samples.series):  # noqa: B905  Python 3.9 runs this file
        assert [arrays[trace[key]] for key in ("t", "raw", "span")] == [series.t, series.raw, series.span]
