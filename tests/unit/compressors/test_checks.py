import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compressors.checks import check_choice, check_flag, check_number, check_whole, check_words


@given(st.floats(0, 1, exclude_min=True, exclude_max=True))
def test_a_number_within_its_limits_passes(value):
    check_number("ratio", value, above=0, below=1)


@pytest.mark.parametrize("value", [0, 1, -0.1, 1.5, math.nan, math.inf, True, "0.5", None])
def test_a_number_outside_or_of_another_type_is_refused_by_name(value):
    with pytest.raises(ValueError, match=r"^ratio: expected a number above 0 and below 1, got "):
        check_number("ratio", value, above=0, below=1)


def test_closed_limits_include_their_ends():
    check_number("alpha", 0, at_least=0, at_most=1)
    check_number("alpha", 1.0, at_least=0, at_most=1)
    with pytest.raises(ValueError, match=r"alpha: expected a number at least 0 and at most 1, got 1\.01"):
        check_number("alpha", 1.01, at_least=0, at_most=1)


def test_a_number_without_limits_must_still_be_finite():
    check_number("x", -1e300)
    with pytest.raises(ValueError, match=r"^x: expected a number, got nan"):
        check_number("x", math.nan)


@given(st.one_of(st.integers(max_value=2), st.floats(), st.booleans(), st.none(), st.text()))
def test_only_whole_numbers_from_the_minimum_pass(value):
    with pytest.raises(ValueError, match="epochs: expected a whole number of at least 3"):
        check_whole("epochs", value, at_least=3)


def test_the_minimum_itself_passes():
    check_whole("epochs", 3, at_least=3)
    with pytest.raises(ValueError, match="got 2"):
        check_whole("epochs", 2, at_least=3)


def test_flags_are_booleans_only():
    check_flag("per_channel", False)
    with pytest.raises(ValueError, match="per_channel: expected true or false, got 1"):
        check_flag("per_channel", 1)


def test_choices_are_named_in_the_error():
    check_choice("importance", "bn", ("bn", "taylor"))
    with pytest.raises(ValueError, match="importance: expected one of bn, taylor, got 'BN'"):
        check_choice("importance", "BN", ("bn", "taylor"))
    with pytest.raises(ValueError, match="got 3"):
        check_choice("importance", 3, ("bn", "taylor"))


@pytest.mark.parametrize("value", [(), ("",), (1,), ["Conv"], "Conv"])
def test_words_are_a_tuple_of_texts(value):
    with pytest.raises(ValueError, match="op_types: expected one word or more"):
        check_words("op_types", value)


def test_words_stand_once_each():
    check_words("op_types", ("Conv", "Gemm"))
    with pytest.raises(ValueError, match="op_types: expected each word once"):
        check_words("op_types", ("Conv", "Conv"))
