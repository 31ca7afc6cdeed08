"""The table prints the rows' own figures, the reasons of absence and every flag."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from lab.board.figures import baseline_ids, show
from lab.board.results_table import MAIN_KEYS, results_table
from lab.domain.flags import Severity
from lab.domain.metrics import METRICS
from tests.support.board_fixture import comparison, example_rows, flag, hostile_rows, result, result_row

ROWS = example_rows()


class Cells(HTMLParser):
    """Text of every keyed cell, row by row; `values` holds what is in the figure's own element."""

    def __init__(self, text):
        super().__init__()
        self.rows, self.values, self.classes, self.key, self.in_value = [], [], [], None, False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        if tag == "tr":
            self.rows.append({})
            self.values.append({})
            self.classes.append(found.get("class", ""))
        elif tag in {"td", "th"}:
            self.key = found.get("data-key")
        elif found.get("class") == "value":
            self.in_value = True

    def handle_endtag(self, _tag):
        self.in_value = False

    def handle_data(self, data):
        if self.key:
            self.rows[-1][self.key] = f"{self.rows[-1].get(self.key, '')} {data}".strip()
            if self.in_value:
                self.values[-1][self.key] = data


def html_of(rows, keys=MAIN_KEYS, everything=None):
    return results_table([(row.technique, row) for row in rows], keys=keys, baselines=baseline_ids(everything or rows),
                         caption="A caption.")


def drawn(rows, **others):
    cells = Cells(html_of(rows, **others))
    del cells.rows[0], cells.values[0], cells.classes[0]  # the heads
    return cells


def cell(row, key, **others):
    return drawn([row], **others).rows[0][key]


@pytest.mark.parametrize("key", METRICS)
def test_every_figure_equals_the_stores_to_the_digit(key):
    for row, values in zip(ROWS, drawn(ROWS, keys=list(METRICS)).values, strict=True):
        assert values[key] == show(row, key)


def test_heads_name_unit_and_direction():
    text = html_of(ROWS)

    for key in MAIN_KEYS:
        arrow = "↓" if METRICS[key].better == "lower" else "↑"
        assert f'{METRICS[key].label}<span class="sub">{METRICS[key].unit} {arrow}</span>' in text


def test_a_ratio_shows_its_interval_and_answer():
    better = result_row("float16", latency_ratio=comparison("float16", "orin-nano", "latency_p50_ns", 0.5))

    assert cell(better, "latency_p50_ns:ratio") == "better ×0.5 ×0.489 – ×0.51"


def test_what_cannot_be_told_apart_says_so_instead_of_a_winner():
    row = result_row("float16", latency_ratio=comparison("float16", "orin-nano", "latency_p50_ns", 0.995))

    assert cell(row, "latency_p50_ns:ratio").endswith("not distinguishable")
    assert "better" not in cell(row, "latency_p50_ns:ratio")


def test_too_few_blocks_give_a_ratio_without_interval():
    unknown = comparison("float16", "orin-nano", "latency_p50_ns", 0.7, low_ratio=None, high_ratio=None,
                         answer="unknown")
    row = result_row("float16", latency_ratio=unknown)

    assert cell(row, "latency_p50_ns:ratio") == "×0.7 interval not known unknown"


def test_the_baseline_is_named_and_has_no_ratio_of_what_it_lacks():
    baseline = drawn(ROWS).rows[0]

    assert baseline["latency_p50_ns:ratio"] == "×1 the baseline"
    assert baseline["energy_gross_j:ratio"] == "– no power source"


def test_the_baseline_is_known_even_where_only_its_row_is_drawn():
    assert drawn(ROWS[:1], everything=ROWS).rows[0]["latency_p50_ns:ratio"] == "×1 the baseline"


def test_absent_energy_is_a_dash_with_its_reason_and_remedy():
    row = result_row(result=result(energy_j=None, flags=[flag("power_unreadable")]))
    text = html_of([row])

    assert cell(row, "energy_gross_j") == "– power unreadable"
    assert "let the agent&#x27;s user read the sensor" in text


def test_simulated_energy_is_labelled_in_its_cell():
    rows = [cells["energy_gross_j"] for row, cells in zip(ROWS, drawn(ROWS).rows, strict=True)
            if row.device == "virtual-pi4" and row.result is not None]

    assert rows
    assert all(text.startswith("SIMULATED ") and "module power" in text for text in rows)


def test_measured_energy_names_its_scope_and_is_never_called_simulated():
    assert cell(result_row(), "energy_gross_j") == "3.87 ± 0.102 board dc power, measured"


def test_memory_names_its_kind():
    assert cell(result_row(), "memory_peak_bytes").endswith(" rss")


def test_another_metric_than_accuracy_is_named():
    assert cell(result_row(metric="macro F1"), "accuracy_ratio").endswith("macro F1")
    assert cell(result_row(), "accuracy_ratio") == "97.22"


def test_every_flag_of_every_row_is_visible_in_plain_words():
    for row, cells in zip(ROWS, drawn(ROWS).rows, strict=True):
        for found in row.result.flags if row.result else ():
            assert found.code.replace("_", " ") in cells["flags"]


def test_a_verdict_that_takes_something_away_stands_first():
    flags = [flag("simulated_power"), flag("worker_died", Severity.VOID, "signal 9")]

    assert cell(result_row(result=result(flags=flags)), "flags").startswith("VOID worker died signal 9")


def test_a_void_row_is_marked_but_its_artifacts_figures_are_not():
    row = result_row(result=result(flags=[flag("worker_died", Severity.VOID)]))
    text = html_of([row])

    assert drawn([row]).classes == ["void first"]
    assert re.search(r'class="n measured" data-key="latency_p50_ns"', text)
    assert re.search(r'class="n" data-key="size_bytes"', text)


def test_a_failed_cell_shows_its_text_and_no_figures():
    row = result_row(result=None, state="failed", failure="connect to nano: no route")

    assert cell(row, "flags") == "failed connect to nano: no route"
    assert cell(row, "latency_p50_ns") == "– not measured"


def test_a_waiting_cell_shows_its_state():
    assert cell(result_row(result=None, state="pending"), "flags") == "pending"


def test_settings_are_told_only_where_they_differ():
    other = replace(ROWS[0], settings="onnx_runtime, 2 threads, batch 1, back to back")

    assert "2 threads" not in html_of([other])
    assert "2 threads" in html_of([ROWS[0], other])


def test_a_new_device_begins_a_new_group():
    assert [place for place, css in enumerate(drawn(ROWS).classes) if "first" in css] == [0, 6, 12]


def test_hostile_names_add_no_element():
    text = html_of(hostile_rows())

    assert not re.search(r"<(img|script|b>)", text)
    assert "\x1b" not in text
