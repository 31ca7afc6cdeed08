"""Fields of a request are checked before anything is done with them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.errors import Refused
from agents.ops.base import BLOCK_ID, SHA256, number, text, whole

ANY = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=300) | st.lists(st.integers())


def taken(reader, value, **options):
    try:
        return True, reader({"field": value}, "field", **options)
    except Refused as error:
        refusal = error
    assert refusal.code == "bad_request"
    assert str(refusal).startswith("field: expected")
    return False, None


@given(ANY)
def test_text_is_text_of_bounded_length(value):
    ok, found = taken(text, value)
    assert ok == (isinstance(value, str) and 0 < len(value) <= 200)
    assert not ok or found is value


@given(ANY)
def test_whole_takes_no_booleans_fractions_or_negatives(value):
    ok, found = taken(whole, value, maximum=1000)
    assert ok == (isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 1000)
    assert not ok or found == value


@given(ANY)
def test_a_number_is_finite_and_within_its_bounds(value):
    ok, found = taken(number, value, maximum=10.0)
    assert ok == (isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 10)
    assert not ok or (isinstance(found, float) and found == value)


@pytest.mark.parametrize("value", ["A" * 64, "a" * 63, "a" * 64 + "\n", "../" + "a" * 61])
def test_a_hash_is_64_lower_case_digits(value):
    assert taken(text, value, pattern=SHA256) == (False, None)
    assert taken(text, "a" * 64, pattern=SHA256) == (True, "a" * 64)


@pytest.mark.parametrize("value", ["..", "../b", "a/b", ".hidden", "a\n", "a" * 129, "a b", "-x"])
def test_a_block_id_can_never_be_a_path(value):
    assert taken(text, value, pattern=BLOCK_ID) == (False, None)


def test_a_missing_field_is_named():
    with pytest.raises(Refused, match="fence: expected a whole number"):
        whole({}, "fence")
