"""Peak memory by kind."""

import pytest

from lab.analysis.memory import Memory, peak_memory
from tests.support.windows import window


def reported(**memory):
    return window(memory_bytes=tuple(memory.items()))


def test_the_worst_window_counts():
    windows = [reported(rss_baseline_bytes=50, rss_peak_bytes=70), reported(rss_baseline_bytes=60, rss_peak_bytes=75)]
    assert peak_memory(windows) == Memory(kind="rss", peak_bytes=75, delta_bytes=20)


@pytest.mark.parametrize("windows", [[], [reported()], [reported(rss_baseline_bytes=50)], [reported(other=5)]])
def test_what_was_not_reported_is_none(windows):
    assert peak_memory(windows) == Memory()


def test_a_peak_without_baseline_has_no_growth():
    assert peak_memory([reported(rss_peak_bytes=70)]) == Memory(kind="rss", peak_bytes=70)


def test_a_peak_below_its_baseline_was_not_read_right():
    assert peak_memory([reported(rss_baseline_bytes=80, rss_peak_bytes=70)]).delta_bytes is None


def test_kinds_are_not_mixed():
    windows = [reported(pss_peak_bytes=500), reported(rss_peak_bytes=70)]
    assert peak_memory(windows) == Memory(kind="rss", peak_bytes=70)


def test_another_kind_serves_where_it_is_the_only_one():
    assert peak_memory([reported(pss_baseline_bytes=5, pss_peak_bytes=9)]) == Memory(kind="pss", peak_bytes=9,
                                                                                    delta_bytes=4)
