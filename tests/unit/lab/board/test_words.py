"""Text of devices and users is made safe before it reaches a page."""

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from lab.board.words import clean, counted, html_text, markdown_text, when
from tests.support.board_fixture import HOSTILE_NAME

TEXTS = st.text(st.characters(), max_size=400)


@given(TEXTS)
def test_cleaned_text_is_one_short_line_without_control_or_direction_characters(text):
    cleaned = clean(text, 50)

    assert len(cleaned) <= 50
    assert not any(unicodedata.category(char).startswith("C") for char in cleaned)


@given(TEXTS)
def test_html_text_never_holds_what_opens_markup_or_ends_an_attribute(text):
    assert not set(html_text(text)) & set("<>\"'")


@given(st.text(st.characters(codec="ascii", exclude_categories=("C",)), max_size=60))
def test_markdown_text_escapes_every_character_that_could_be_markup(text):
    escaped = markdown_text(text)

    assert escaped.replace("\\", "").replace(" ", "") == text.replace("\\", "").replace(" ", "")
    for place, char in enumerate(escaped):
        if char in "*_[]()<>#`!|~$:{}":
            assert escaped[place - 1] == "\\"


@given(TEXTS)
def test_cleaning_twice_changes_nothing(text):
    assert clean(clean(text)) == clean(text)


def test_terminal_colours_and_titles_are_removed_with_their_parameters():
    assert clean("\x1b[31mred\x1b[0m") == "red"
    assert clean("\x1b]0;owned\x07name") == "name"
    assert clean("a\x1bMb") == "ab"


def test_a_direction_override_cannot_reverse_a_name():
    assert clean("abc\u202exe.png") == "abcxe.png"


def test_long_text_is_cut_with_a_mark():
    assert clean("x" * 200, 10) == "x" * 9 + "…"


def test_a_cut_text_that_is_huge_costs_no_more_than_a_few_limits():
    assert len(clean("\x00" * 10_000_000 + "tail", 10)) == 0


def test_a_hostile_name_is_shown_and_not_obeyed():
    assert html_text(HOSTILE_NAME) == "&lt;img src=x onerror=&quot;window.pwned=1&quot;&gt;red|*bold*"


def test_markdown_keeps_the_lines_of_an_error():
    assert markdown_text("first\nsecond") == "first  \nsecond"


def test_counting_agrees_with_the_number():
    assert counted(1, "block") == "1 block"
    assert counted(0, "block") == "0 blocks"
    assert counted(12_345, "inference") == "12,345 inferences"


def test_times_are_shown_to_the_second_with_their_zone():
    assert when("2026-03-02T09:14:05.123456Z") == "2026-03-02 09:14:05 UTC"
    assert when("2026-03-02T09:14:05+00:00") == "2026-03-02 09:14:05 UTC"
    assert when(None) == "–"


def test_a_time_that_is_none_is_shown_as_it_came_but_cleaned():
    assert when("yesterday\x1b[1m") == "yesterday"
