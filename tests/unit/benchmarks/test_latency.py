"""The latency benchmark claims nothing that its null control does not allow."""

import pytest

from benchmarks.latency import bound_row, compare
from benchmarks.ratio import RatioInterval


def interval(high):
    return RatioInterval(1.0, 0.99, high, 30)


@pytest.mark.parametrize(("high", "resolvable", "met"), [
    (1.03, True, True), (1.0301, True, False), (1.0, False, False), (1.5, False, False)])
def test_a_row_is_met_only_within_the_bound_and_where_the_machine_can_tell(high, resolvable, met):
    row = bound_row("what", interval(high), [1e6, 2e6], resolvable, "how")
    assert row.met is met
    assert ("not resolvable" in row.note) is not resolvable
    assert "how" in row.note
    assert (row.ours, row.reference) == ("1.0000 ms", "2.0000 ms")


def test_both_sides_are_measured_in_turns_and_their_medians_told():
    order = []

    def side(name, value):
        return lambda: order.append(name) or value

    found, ours, reference = compare(side("a", 3.0), side("b", 2.0), 4)
    assert order == ["a", "b", "b", "a", "a", "b", "b", "a"]
    assert (ours, reference, found.pairs) == (3.0, 2.0, 4)
    assert found.ratio == pytest.approx(1.5)
