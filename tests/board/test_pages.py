"""Every page draws with a full store, an empty one, a hostile one and a broken one."""

import sqlite3
from contextlib import closing

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from lab.board.views import VIEWS
from lab.domain.flags import Severity
from lab.domain.metrics import METRICS
from lab.store.database import DATABASE_NAME
from lab.store.store import Store
from tests.support.board_fixture import example_rows, fill_store, flag, hostile_rows, result, result_row

TIMEOUT_S = 60


@pytest.fixture(autouse=True)
def empty_cache():
    st.cache_data.clear()
    yield
    st.cache_data.clear()


def one_page(view, home):
    """The script that AppTest executes; it must import all it needs."""
    from pathlib import Path

    from lab.board.app import render_view
    from lab.board.data import Sources
    from lab.store.store import Store
    from tests.support.board_fixture import profile

    render_view(view, lambda: Sources(home=Path(home), open_store=lambda: Store.open(Path(home), read_only=True),
                                      load_profile=profile))


def page(view, home):
    return AppTest.from_function(one_page, kwargs={"view": view, "home": str(home)}, default_timeout=TIMEOUT_S)


def shown(test):
    """All text and markup of a page."""
    assert not test.exception
    parts = [element.proto.body for element in test.get("html")]
    for kind in ("title", "subheader", "markdown", "caption", "info", "warning", "error"):
        parts += [str(element.value) for element in test.get(kind)]
    return "\n".join(parts)


def fill(home, rows=None, **others):
    with Store.open(home) as store:
        return fill_store(store, rows, **others)


@pytest.mark.parametrize("view", VIEWS)
def test_a_page_draws_without_an_exception(view, lab_home):
    fill(lab_home)
    test = page(view, lab_home).run()

    assert test.title[0].value == view.capitalize()
    assert not test.error
    assert "<table" in shown(test)


@pytest.mark.parametrize("view", VIEWS)
def test_an_empty_lab_says_what_to_do_first(view, lab_home):
    assert "`lab demo`" in shown(page(view, lab_home).run())


@pytest.mark.parametrize("view", VIEWS)
def test_looking_at_an_empty_lab_creates_nothing(view, lab_home):
    page(view, lab_home).run()

    assert list(lab_home.iterdir()) == []


@pytest.mark.parametrize("view", VIEWS)
def test_a_broken_database_is_an_error_text_and_no_traceback(view, lab_home):
    (lab_home / DATABASE_NAME).write_bytes(b"this is no database" * 100)
    text = shown(page(view, lab_home).run())

    assert "cannot open" in text
    assert "Traceback" not in text


@pytest.mark.parametrize("view", VIEWS)
def test_a_database_of_a_newer_lab_is_refused_in_words(view, lab_home):
    fill(lab_home)
    with closing(sqlite3.connect(lab_home / DATABASE_NAME)) as database, database:
        database.execute("UPDATE _sqlite_migrations SET name = 'm9999_of_the_future' "
                         "WHERE name = (SELECT max(name) FROM _sqlite_migrations)")

    assert "upgrade JouleLab" in shown(page(view, lab_home).run())


@pytest.mark.parametrize("view", VIEWS)
def test_hostile_names_are_text(view, lab_home):
    fill(lab_home, hostile_rows(), name="<script>window.pwned=1</script>")
    text = shown(page(view, lab_home).run())

    assert "<script" not in text
    assert "<img" not in text
    assert "\x1b" not in text


def test_the_campaign_shown_is_the_one_chosen(lab_home):
    fill(lab_home)
    fill(lab_home, example_rows()[:2], devices={}, name="second")
    test = page("compare", lab_home).run()
    assert "second: workload digits" in shown(test)

    test.selectbox[0].select_index(1).run()
    assert "example-figures: workload digits" in shown(test)


def test_one_device_can_be_looked_at_alone(lab_home):
    fill(lab_home)
    test = page("compare", lab_home).run()
    test.selectbox[1].select("orin-nano").run()

    table = shown(test)
    assert "orin-nano" in table
    assert "workstation" not in table
    assert not test.warning


def test_further_figures_can_be_added(lab_home):
    fill(lab_home)
    test = page("compare", lab_home).run()
    assert 'data-key="throughput_hz"' not in shown(test)

    test.multiselect[0].select("throughput_hz").run()
    assert 'data-key="throughput_hz"' in shown(test)
    assert METRICS["throughput_hz"].label in shown(test)


def test_compare_labels_simulated_power_and_explains_what_is_absent(lab_home):
    fill(lab_home)
    test = page("compare", lab_home).run()

    assert "SIMULATED power on virtual" in test.warning[0].value
    assert any("No energy on workstation" in each.value and "lab meters scan" in each.value for each in test.caption)
    assert any("axis of its own" in each.value for each in test.caption)


def test_compare_draws_ratios_and_trade_offs_with_a_text_for_each(lab_home):
    fill(lab_home)
    charts = page("compare", lab_home).run().get("vega_lite_chart")

    assert len(charts) == 6  # two ratios, latency, size, and energy of two kinds
    assert all('"description"' in chart.proto.spec for chart in charts)


def test_a_chart_that_cannot_be_drawn_leaves_its_reason(lab_home):
    rows = [result_row("baseline", result=result(energy_j=None, flags=[flag("no_power_source")]))]
    fill(lab_home, rows)
    captions = [each.value for each in page("compare", lab_home).run().caption]

    assert "Energy per inference (gross) cannot be drawn: no power source." in captions
    assert "No ratio of latency p50 to draw: no technique shares a block with its baseline yet." in captions


def test_a_quick_look_is_announced(lab_home):
    fill(lab_home, [result_row(preset="quick", result=result(flags=[flag("quick_look", Severity.INFO)]))])

    assert "quick preset" in page("compare", lab_home).run().info[0].value


def test_the_flags_are_explained_below(lab_home):
    fill(lab_home)

    assert "The device lowered its clocks during a window." in shown(page("compare", lab_home).run())


def test_many_cells_are_shown_in_parts(lab_home):
    rows = [result_row("baseline", "nano")] + [
        result_row(f"technique {place}", "nano", artifact_sha256=f"{place:064x}") for place in range(104)]
    fill(lab_home, rows)
    test = page("compare", lab_home).run()
    assert "technique 103<" not in shown(test)

    test.number_input[0].set_value(2).run()
    assert "technique 103<" in shown(test)


def test_raw_values_can_be_downloaded(lab_home):
    fill(lab_home)

    assert page("compare", lab_home).run().get("download_button")[0].proto.label == "Download raw values (CSV)"


def test_devices_say_what_is_missing_and_why(lab_home):
    fill(lab_home)
    text = shown(page("devices", lab_home).run())

    assert "permission denied: /sys/class/powercap" in text
    assert "rail VDD_IN is in the profile but was not found" in text
    assert "never contacted" in text


def test_a_device_nobody_contacted_says_how(lab_home):
    fill(lab_home)
    test = page("devices", lab_home).run()
    test.selectbox[0].select("bench-board").run()

    assert "lab devices check NAME" in shown(test)


def test_campaigns_show_states_failures_and_what_happened(lab_home):
    fill(lab_home)
    text = shown(page("campaigns", lab_home).run())

    assert "17 of 18" in text
    assert text.count("the link ended after 31 of 75 KiB") == 2  # the failure, and the event that tells it
    assert "2 results" in text


def test_a_campaign_that_failed_as_a_whole_says_why(lab_home):
    campaign_id = fill(lab_home)
    with Store.open(lab_home) as store:
        store.set_campaign_state(campaign_id, "failed", "workload digits: no such file")

    assert "no such file" in page("campaigns", lab_home).run().error[0].value
