"""The page that answers the question: which technique, on this device, is worth it?"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import streamlit as st

from lab.board import data
from lab.board.choices import choose_campaign, choose_page, explain_empty
from lab.board.figures import absent_code, baseline_ids, flags_of, is_simulated, remedy
from lab.board.frame import results_frame, technique_labels
from lab.board.panels import ratio_panel, trade_off_panel
from lab.board.results_table import MAIN_KEYS, results_table
from lab.board.table import flag_words
from lab.board.words import clean, counted, markdown_text
from lab.domain.flags import FLAG_CODES
from lab.domain.metrics import METRICS
from lab.domain.result import ResultRow
from lab.domain.summary import CampaignSummary
from lab.reports.csv_export import rows_to_csv

ALL = "All"


@dataclass(frozen=True, kw_only=True)
class _Choice:
    """What the controls say: a campaign, all its rows, the places of those shown, the metrics shown."""

    campaign: CampaignSummary
    everything: tuple[ResultRow, ...]
    places: list[int]
    keys: list[str]

    @property
    def rows(self) -> list[ResultRow]:
        return [self.everything[place] for place in self.places]

    @property
    def labelled(self) -> list[tuple[str, ResultRow]]:
        labels = technique_labels(self.everything)
        return [(labels[place], self.everything[place]) for place in self.places]


def render(sources: data.Sources) -> None:
    """Table, ratios and trade-off charts of one campaign."""
    st.title("Compare")
    found = data.campaigns(sources)
    if not found:
        explain_empty("Nothing measured yet", "Run `lab demo` in a terminal: it measures a first campaign on this "
                      "machine and on a virtual board. Then reload this page.")
        return
    choice = _controls(sources, found)
    if not choice.rows:
        explain_empty("No cells to show", f"Campaign {markdown_text(choice.campaign.name, 60)} is "
                      f"{markdown_text(choice.campaign.state, 30)} and has no cells yet. "
                      "`lab run FILE` goes on with it.")
        return
    _warn(choice.rows)
    st.html(results_table(choose_page(choice.labelled, "results"), keys=choice.keys,
                          baselines=baseline_ids(choice.everything), caption=_caption(choice)))
    st.download_button("Download raw values (CSV)", rows_to_csv(choice.rows), _file_name(choice.campaign),
                       "text/csv", on_click="ignore")
    _explain_absent(choice.rows)
    _charts(choice)
    words = flag_words(flag for row in choice.rows for flag in flags_of(row))
    if words:
        st.subheader("What the flags mean")
        st.html(words)


def _controls(sources: data.Sources, found: Sequence[CampaignSummary]) -> _Choice:
    left, middle, right, last = st.columns([3, 2, 3, 3], vertical_alignment="bottom")
    with left:
        campaign = choose_campaign(found)
    everything = data.result_rows(sources, campaign.id)
    with middle:
        device = _choose("Device", (row.device for row in everything), start=ALL)
    with right:
        settings = _choose("Settings", (row.settings for row in everything), start=None)
    with last:
        others = [key for key in METRICS if key not in MAIN_KEYS]
        more = st.multiselect("More figures", others, format_func=lambda key: METRICS[key].label)
    places = [place for place, row in enumerate(everything)
              if device in {ALL, row.device} and settings in {ALL, row.settings}]
    return _Choice(campaign=campaign, everything=everything, places=places, keys=[*MAIN_KEYS, *more])


def _choose(label: str, values: Iterable[str], *, start: str | None) -> str:
    """One of the values, or all; `start` None begins with the first value, since charts show one at a time."""
    known = list(dict.fromkeys(values))
    if len(known) <= 1:
        st.selectbox(label, [clean(value, 60) for value in known] or ["–"], disabled=True)
        return ALL
    options = [ALL, *known]
    return str(st.selectbox(label, options, index=0 if start == ALL else 1,
                            format_func=lambda value: clean(value, 60)))


def _warn(rows: Sequence[ResultRow]) -> None:
    if any(row.preset == "quick" for row in rows):
        st.info(FLAG_CODES["quick_look"] + " The presets `standard` and `publish` take long enough for one.")
    if any(is_simulated(row) for row in rows):
        names = ", ".join(dict.fromkeys(markdown_text(row.device, 40) for row in rows if is_simulated(row)))
        st.warning(f"SIMULATED power on {names}. {FLAG_CODES['simulated_power']} A virtual device runs on this "
                   "machine, so its latency is this machine's.")


def _caption(choice: _Choice) -> str:
    measured = sum(row.result is not None for row in choice.rows)
    failed = sum(row.failure is not None for row in choice.rows)
    settings = dict.fromkeys(clean(row.settings) for row in choice.rows)
    only = f" All with {next(iter(settings))}." if len(settings) == 1 else ""
    return (f"{clean(choice.campaign.name, 60)}: workload {clean(choice.campaign.workload, 60)}, "
            f"{measured} of {counted(len(choice.rows), 'cell')} measured, {failed} failed.{only} Small figures are "
            "95 % intervals; ↓ lower is better, ↑ higher is better; – means absent, never zero.")


def _file_name(campaign: CampaignSummary) -> str:
    return f"{re.sub('[^A-Za-z0-9_-]+', '-', campaign.name)[:60] or 'results'}.csv"


def _explain_absent(rows: Sequence[ResultRow]) -> None:
    absent: dict[str, dict[str, None]] = {}
    for row in rows:
        code = absent_code(row, "energy_gross_j")
        if code and row.result is not None and row.result.energy_gross_j is None:
            absent.setdefault(code, {})[markdown_text(row.device, 40)] = None
    for code, names in absent.items():
        st.caption(f"No energy on {', '.join(names)}: {remedy(code)}")


def _charts(choice: _Choice) -> None:
    frame = results_frame(choice.everything).iloc[choice.places]
    if frame["settings"].nunique() > 1:
        st.info("Charts show one setting at a time: choose one under Settings.")
        return
    ratio_panel(frame, choice.rows)
    trade_off_panel(frame, choice.rows)
