"""The page of campaigns: how far each one is, and what failed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import streamlit as st

from lab.board import data
from lab.board.choices import choose_campaign, choose_page, explain_empty
from lab.board.frame import technique_labels
from lab.board.table import Cell, Line, chip, sub, table, text_cell
from lab.board.words import LONG_LIMIT, counted, html_text, markdown_text, when
from lab.domain.flags import Verdict
from lab.domain.result import ResultRow
from lab.domain.summary import CampaignSummary, Event


def render(sources: data.Sources) -> None:
    """All campaigns, then one of them cell by cell."""
    st.title("Campaigns")
    found = data.campaigns(sources)
    if not found:
        explain_empty("No campaigns yet", "`lab demo` measures a first one. `lab run FILE` measures what your own "
                      "campaign file asks for.")
        return
    st.html(_overview(found))
    chosen = choose_campaign(found)
    rows = data.result_rows(sources, chosen.id)
    if chosen.failure:
        st.error(markdown_text(chosen.failure))
    _states(rows)
    _failures(rows)
    st.subheader("Cells")
    if rows:
        labelled = list(zip(technique_labels(rows), rows, strict=True))
        st.html(_cells(choose_page(labelled, "cells")))
    else:
        st.markdown("This campaign has no cells yet.")
    _history(data.events(sources, chosen.id))


def _overview(found: Sequence[CampaignSummary]) -> str:
    heads = [Cell(html="Campaign"), Cell(html="State"), Cell(html="Cells done", css="n"),
             Cell(html="Failed", css="n"), Cell(html="Workload"), Cell(html="Owner"), Cell(html="Created")]
    lines = [Line(cells=[
        Cell(html=html_text(each.name) + sub(each.id[:12]), css="name"), Cell(html=state_chip(each.state)),
        Cell(html=f"{each.cells_done:,} of {each.cells_total:,}", css="n"),
        Cell(html=f"{each.cells_failed:,}", css="n"),
        text_cell(each.workload), text_cell(each.owner), text_cell(when(each.created_utc))]) for each in found]
    return table(heads, lines, caption="This page does not refresh itself, so as not to disturb a measurement on "
                                       "this machine; reload it to see more.")


def state_chip(state: str) -> str:
    """The state as a chip; only success and failure are coloured."""
    return chip({"failed": "failed", "done": "better"}.get(state, "info"), state)


def _states(rows: Sequence[ResultRow]) -> None:
    counts = Counter(row.state for row in rows)
    verdicts = Counter(row.result.verdict for row in rows if row.result)
    shown = [f"{state_chip(state)} {counted(number, 'cell')}" for state, number in counts.most_common()]
    flagged = verdicts[Verdict.DEGRADED] + verdicts[Verdict.VOID]
    if flagged:
        shown.append(f"{chip('degraded', 'flagged')} {counted(flagged, 'result')}")
    if shown:
        st.html('<p class="jl-words">' + " &nbsp; ".join(shown) + "</p>")


def _failures(rows: Sequence[ResultRow]) -> None:
    failed = [(label, row) for label, row in zip(technique_labels(rows), rows, strict=True) if row.failure]
    if not failed:
        return
    st.subheader("Failures")
    heads = [Cell(html="Technique"), Cell(html="Device"), Cell(html="What happened")]
    lines = [Line(cells=[text_cell(label), text_cell(row.device),
                         text_cell(row.failure, css="wide", limit=LONG_LIMIT, key="failure")])
             for label, row in choose_page(failed, "failures")]
    st.html(table(heads, lines, caption="`lab run FILE` with the same file tries failed cells again."))


def _history(events: Sequence[Event]) -> None:
    st.subheader("What happened")
    if not events:
        st.markdown("Nothing was noted yet.")
        return
    heads = [Cell(html=text) for text in ("When", "Stage", "Kind", "Device", "Text")]
    lines = [Line(cells=[text_cell(when(each.utc)), text_cell(each.stage), text_cell(each.kind),
                         text_cell(each.device or "–"), text_cell(each.message or "–", css="wide", limit=LONG_LIMIT)])
             for each in choose_page(events, "events")]
    st.html(table(heads, lines, caption="Changes of state and failures, the newest first."))


def _cells(labelled: Sequence[tuple[str, ResultRow]]) -> str:
    heads = [Cell(html="Technique"), Cell(html="Device"), Cell(html="Settings"), Cell(html="State"),
             Cell(html="Verdict"), Cell(html="Blocks", css="n"), Cell(html="Measured"), Cell(html="Cell id")]
    lines = [Line(cells=[
        text_cell(label), text_cell(row.device), text_cell(row.settings),
        Cell(html=state_chip(row.state)),
        Cell(html=html_text(row.result.verdict) if row.result else "–"),
        Cell(html=f"{row.result.n_blocks:,}" if row.result else "–", css="n"),
        text_cell(when(row.measured_utc)),
        Cell(html=f"<code>{html_text(row.result.cell_id[:12])}</code>" if row.result else "–")])
        for label, row in labelled]
    return table(heads, lines, caption="`lab results show ID` prints everything about one cell.")
