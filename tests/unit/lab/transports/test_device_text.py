"""What devices print, before anyone sees it."""

from hypothesis import given
from hypothesis import strategies as st

from lab.transports.device_text import clean_bytes, clean_tail


def test_the_start_is_kept_for_answers_and_the_end_for_failures():
    assert clean_bytes(b"first\nsecond", 7) == "first …"
    assert clean_tail(b"Traceback\nValueError: no", 15) == "…ValueError: no"


def test_escapes_and_broken_text_are_gone():
    assert clean_tail(b"\x1b[31mred\x1b[0m \xff\x07 end") == "red � end"


@given(st.binary(max_size=3000), st.integers(min_value=2, max_value=300))
def test_always_one_short_printable_line(raw, cap):
    for text in (clean_bytes(raw, cap), clean_tail(raw, cap)):
        assert len(text) <= cap
        assert text.isprintable()
        assert "\x1b" not in text
