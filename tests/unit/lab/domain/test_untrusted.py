"""Text from outside becomes one harmless printable line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.domain.untrusted import Fields, clean_text
from lab.errors import ProtocolMismatch


@pytest.mark.parametrize(("text", "clean"), [
    ("plain text", "plain text"),
    ("  spaces \t and\nlines\r\n ", "spaces and lines"),
    ("\x1b[31;1mred\x1b[0m", "red"),
    ("\x1b]0;window title\x07after", "after"),
    ("\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\", "link"),
    ("\x1bPdevice control\x1b\\x", "x"),
    ("\x9b31mred", "red"),
    ("\x1bcreset", "reset"),
    ("\x1b(Bset", "set"),
    ("end\x1b", "end"),
    ("nul\x00bel\x07del\x7f", "nulbeldel"),
    ("bidi\u202eevil\u2066x\u200b", "bidievilx"),
    ("line\u2028para\u2029next", "line para next"),
    ("lone \ud800 surrogate", "lone surrogate"),
    ("Größe ✓ 温度", "Größe ✓ 温度"),
    ("", ""),
])
def test_examples(text, clean):
    assert clean_text(text) == clean


def test_long_text_is_cut_with_a_sign_of_it():
    assert clean_text("x" * 401) == "x" * 399 + "…"
    assert clean_text("x" * 400) == "x" * 400
    assert clean_text("x" * 100, 10) == "x" * 9 + "…"


@given(st.text(st.characters(codec=None)), st.integers(1, 500))
def test_any_text_becomes_short_printable_and_encodable(text, cap):
    cleaned = clean_text(text, cap)
    assert len(cleaned) <= cap
    assert cleaned.isprintable()
    assert "\x1b" not in cleaned
    assert cleaned.encode("utf-8").decode("utf-8") == cleaned


@given(st.text())
def test_cleaning_twice_changes_nothing(text):
    assert clean_text(clean_text(text)) == clean_text(text)


@given(st.text(alphabet="\x1b[]\\;0mPX^_\x9b\x9c\x07ab \n", max_size=200))
def test_no_mix_of_escape_parts_survives(text):
    assert not set(clean_text(text)) & set("\x1b\x9b\x9c\x07\n")


FIELDS = Fields.of({"text": " a\x07b ", "id": "block-1.a", "whole": 5, "number": 2.5, "null": None, "list": [1, 2],
                    "object": {"inner": 7}, "empty": ""}, "device")


def test_getters_give_checked_values():
    assert (FIELDS.text("text"), FIELDS.identifier("id"), FIELDS.choice("id", ("block-1.a",))) == (
        "ab", "block-1.a", "block-1.a")
    assert (FIELDS.whole("whole"), FIELDS.number("number", 0, 3), FIELDS.number("whole", 0, 5)) == (5, 2.5, 5.0)
    assert (FIELDS.whole_or_none("null"), FIELDS.whole_or_none("absent"), FIELDS.whole_or_none("whole")) == (
        None, None, 5)
    assert (tuple(FIELDS.items("list", 2)), tuple(FIELDS.items("absent", 2))) == ((1, 2), ())
    assert FIELDS.nested("object", 1).whole("inner") == 7
    assert FIELDS.nested("absent", 1).values == {}
    assert [FIELDS.has(key) for key in ("whole", "null", "absent")] == [True, False, False]


@pytest.mark.parametrize(("get", "named"), [
    (lambda: FIELDS.text("whole"), "device.whole"),
    (lambda: FIELDS.text("empty"), "device.empty"),
    (lambda: FIELDS.identifier("text"), "device.text"),
    (lambda: FIELDS.choice("id", ("other",)), "expected one of other"),
    (lambda: FIELDS.whole("number"), "device.number"),
    (lambda: FIELDS.whole("whole", 6), "from 6 to"),
    (lambda: FIELDS.whole("absent"), "got nothing"),
    (lambda: FIELDS.number("number", 0, 1), "from 0 to 1"),
    (lambda: FIELDS.number("text", 0, 1), "device.text"),
    (lambda: FIELDS.items("list", 1), "at most 1 items"),
    (lambda: FIELDS.items("object", 1), "device.object"),
    (lambda: FIELDS.nested("list", 1), "device.list"),
    (lambda: FIELDS.nested("object", 0), "at most 0 members"),
    (lambda: FIELDS.nested("object", 1).text("inner"), "device.object.inner"),
    (lambda: Fields.of([], "device"), "an object, got list of 0"),
])
def test_getters_name_what_is_wrong(get, named):
    with pytest.raises(ProtocolMismatch, match=named):
        get()


def test_a_huge_number_can_be_refused_without_being_printed():
    with pytest.raises(ProtocolMismatch, match="out of range"):
        Fields.of({"a": 10**5000}, "").whole("a")
