"""ERR answers as exceptions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.devices.answers import error_from
from lab.errors import AgentError, DeviceBusy, RequestFailed


@pytest.mark.parametrize("code", [
    "fenced", "bad_plan", "missing_artifact", "no_space", "read_only", "hash_mismatch", "short", "cancelled",
])
def test_a_code_stays_readable_for_machines(code):
    error = error_from({"code": code, "message": "because"}, "pi@pi", "put.open")
    assert isinstance(error, RequestFailed)
    assert error.code == code
    assert str(error) == f"pi@pi: put.open failed ({code}): because"
    assert not error.transient


def test_what_may_work_next_time_is_transient():
    assert error_from({"code": "busy", "message": "x", "retryable": True}, "pi", "block.start").transient
    assert not error_from({"code": "busy", "message": "x", "retryable": "yes"}, "pi", "block.start").transient


def test_a_held_lease_names_its_holder():
    error = error_from({"code": "held", "owner": "eve@lab", "expires_in_s": 61.4}, "pi", "lease.acquire")
    assert isinstance(error, DeviceBusy)
    assert error.transient
    assert str(error) == ("pi is in use by eve@lab, whose lease ends in 61 s at the latest; wait, or ask them to "
                          "release it")


@pytest.mark.parametrize("expires_s", [None, True, "soon", -1, 1e300, float("inf")])
def test_an_expiry_that_is_none_is_left_out(expires_s):
    error = error_from({"code": "held", "expires_in_s": expires_s}, "pi", "lease.acquire")
    assert str(error) == "pi is in use by an unnamed holder; wait, or ask them to release it"


def test_device_text_is_cleaned_and_cut():
    error = error_from({"code": "no\x1b[2Jspace", "message": "a\nb" * 1000}, "pi", "put.open")
    assert "\x1b" not in str(error)
    assert "\n" not in str(error)
    assert len(str(error)) < 500


@given(st.dictionaries(st.sampled_from(["code", "message", "owner", "retryable", "expires_in_s"]), st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=5)))
def test_any_header_makes_an_error(header):
    assert isinstance(error_from(header, "pi", "op"), AgentError)
