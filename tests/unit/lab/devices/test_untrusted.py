"""Field readers for answers: right values pass, everything else is a ProtocolMismatch naming the field."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.devices.untrusted import flag, objects, pairs, sha256, texts
from lab.domain.untrusted import Fields
from lab.errors import ProtocolMismatch

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=50),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4), max_leaves=8)
READERS = {
    "flag": flag, "sha256": sha256, "objects": lambda fields, key: objects(fields, key, 3),
    "texts": lambda fields, key: texts(fields, key, 3), "pairs": lambda fields, key: pairs(fields, key, 3),
}


def fields(value):
    return Fields.of({"x": value}, "(pi) facts")


def test_right_values_pass():
    assert flag(fields(True), "x") is True
    assert sha256(fields("0a" * 32), "x") == "0a" * 32
    assert [item.whole("n") for item in objects(fields([{"n": 1}, {"n": 2}]), "x", 2)] == [1, 2]
    assert texts(fields(["neon", "a\x1b[1ms"]), "x", 2) == ("neon", "as")
    assert pairs(fields({"b": "2", "a": "1\n"}), "x", 2) == (("a", "1"), ("b", "2"))


@pytest.mark.parametrize(("reader", "value", "place"), [
    ("flag", 1, "x"), ("flag", None, "x"), ("sha256", "0A" * 32, "x"), ("sha256", "0a" * 32 + "\n", "x"),
    ("sha256", 7, "x"),
    ("objects", "text", "x"), ("objects", [{}] * 4, "x"), ("objects", [{}, 1], r"x\[1\]"),
    ("texts", ["a", 1], r"x\[1\]"), ("texts", ["a"] * 4, "x"), ("pairs", [], "x"), ("pairs", {"a": 1}, r"x\.a"),
    ("pairs", dict.fromkeys("abcd", "1"), "x"),
])
def test_wrong_values_name_their_place(reader, value, place):
    with pytest.raises(ProtocolMismatch, match=rf"\(pi\) facts\.{place} that is wrong"):
        READERS[reader](fields(value), "x")


@given(st.sampled_from(sorted(READERS)), json_values)
def test_no_value_gets_through_unchecked_or_breaks_a_reader(reader, value):
    try:
        read = READERS[reader](fields(value), "x")
    except ProtocolMismatch:
        return
    assert type(read) in (bool, str, tuple)
