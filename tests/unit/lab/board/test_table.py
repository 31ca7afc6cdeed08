"""Tables are whole, escaped and readable without a mouse."""

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.board.table import Cell, Line, chip, flag_chips, flag_words, sub, table, text_cell
from lab.domain.flags import FLAG_CODES, Severity
from tests.support.board_fixture import HOSTILE_NAME, flag


class Tags(HTMLParser):
    """Collects opened tags and checks that each is closed."""

    def __init__(self, text):
        super().__init__()
        self.opened, self.seen = [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.opened.append(tag)
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.opened.pop() == tag


def built(text="value", caption="A caption."):
    return table([Cell(html="Name"), Cell(html="Figure", css="n")],
                 [Line(cells=[text_cell(text), text_cell(text, key="figure")], css="void")], caption=caption)


@given(st.text(max_size=200))
def test_no_text_can_add_a_tag_or_an_attribute(text):
    tags = Tags(built(text, caption=text.replace("`", "")))

    assert tags.opened == []
    assert [tag for tag, _ in tags.seen] == [tag for tag, _ in Tags(built()).seen]
    assert all(set(attributes) <= {"class", "scope", "data-key", "title"} for _, attributes in tags.seen)


def test_a_hostile_name_stays_text():
    assert "<img" not in built(HOSTILE_NAME)
    assert "&lt;img" in built(HOSTILE_NAME)


def test_heads_name_their_column_or_row_for_screen_readers():
    heads = [attributes["scope"] for tag, attributes in Tags(built()).seen if tag == "th"]

    assert heads == ["col", "col", "row"]


def test_a_caption_may_hold_code_but_no_markup():
    text = built(caption="Use `lab demo <NAME>`.")

    assert "<caption>Use <code>lab demo &lt;NAME&gt;</code>.</caption>" in text


def test_text_that_was_cut_is_whole_in_the_title():
    assert text_cell("x" * 200).title == "x" * 200
    assert text_cell("short").title == ""


def test_a_cell_is_marked_for_readers_of_the_page():
    assert 'data-key="figure"' in built()


def test_a_chip_says_more_on_hover():
    assert chip("info", "a<b", "c\"d") == '<span class="jl-chip info" title="c&quot;d">a&lt;b</span>'


def test_a_second_line_is_escaped_and_cut():
    assert sub("<" * 10, 5) == '<span class="sub">&lt;&lt;&lt;&lt;…</span>'


@pytest.mark.parametrize("code", FLAG_CODES)
def test_every_flag_has_plain_words_in_its_chip_and_a_sentence_below(code):
    chips, words = flag_chips([flag(code)]), flag_words([flag(code)])

    assert ">" + code.replace("_", " ") + "<" in chips
    assert code.replace("_", " ") in words
    assert len(words) > len(FLAG_CODES[code])


def test_what_was_seen_stands_beneath_a_degrading_flag_only():
    assert "in block 3" in flag_chips([flag("throttled", Severity.DEGRADED, "in block 3")])
    quiet = flag_chips([flag("frequency_unknown", detail="no cpufreq")])
    assert 'class="sub"' not in quiet
    assert "no cpufreq" in quiet


def test_severity_is_the_chips_kind():
    assert 'jl-chip void"' in flag_chips([flag("worker_died", Severity.VOID)])
    assert 'jl-chip simulated"' in flag_chips([flag("simulated_power")])


def test_an_unknown_flag_is_still_explained():
    assert "no words for" in flag_words([flag("brand_new")])
    assert flag_words([]) == ""
