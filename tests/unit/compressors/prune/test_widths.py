import pytest
from hypothesis import given
from hypothesis import strategies as st

from compressors.prune.widths import kept_width


@pytest.mark.parametrize(("width", "keep_ratio", "round_to", "expected"), [
    (64, 0.5, 8, 32), (64, 0.3, 8, 16), (24, 0.5, 8, 16), (20, 0.5, 8, 8), (16, 0.5, 16, 16), (8, 0.5, 8, 8),
    (10, 0.5, 8, 8), (10, 0.9, 8, 8), (6, 0.5, 8, 6), (16, 0.01, 8, 8), (10, 0.55, 1, 6), (3, 0.1, 1, 1),
])
def test_widths_by_hand(width, keep_ratio, round_to, expected):
    assert kept_width(width, keep_ratio, round_to) == expected


@given(st.integers(1, 2048), st.floats(0.001, 0.999), st.integers(1, 64))
def test_a_kept_width_is_aligned_within_limits_and_near_the_ratio(width, keep_ratio, round_to):
    kept = kept_width(width, keep_ratio, round_to)
    assert 1 <= kept <= width
    assert kept == width or kept % round_to == 0
    wanted = min(max(width * keep_ratio, round_to), width)
    assert abs(kept - wanted) <= round_to / 2 + 1e-6 or kept == width


@given(st.integers(1, 512), st.floats(0.01, 0.99), st.floats(0.01, 0.99), st.integers(1, 32))
def test_a_higher_ratio_never_keeps_fewer(width, one, other, round_to):
    low, high = sorted((one, other))
    assert kept_width(width, low, round_to) <= kept_width(width, high, round_to)
