"""Controls that more than one page needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import streamlit as st

from lab.domain.summary import CampaignSummary

from .words import clean, when

PAGE_ROWS = 100
"""Longest table drawn at once."""

Shown = TypeVar("Shown")


def choose_campaign(found: Sequence[CampaignSummary]) -> CampaignSummary:
    """A select box over the campaigns, the newest first."""
    titles = {each.id: f"{clean(each.name, 60)} · {when(each.created_utc)} · {clean(each.id, 6)}"
              for each in found}
    chosen = st.selectbox("Campaign", list(titles), format_func=lambda key: titles.get(key, key))
    return next(each for each in found if each.id == chosen)


def choose_page(rows: Sequence[Shown], key: str) -> Sequence[Shown]:
    """The rows to draw: all of them, or the page chosen where there are many; `key` names the table."""
    pages = -(-len(rows) // PAGE_ROWS)
    if pages <= 1:
        return rows
    number = int(st.number_input(f"Page of {pages}", min_value=1, max_value=pages, value=1, width=140,
                                 key=f"page-{key}"))
    return rows[(number - 1) * PAGE_ROWS:number * PAGE_ROWS]


def explain_empty(headline: str, body: str) -> None:
    """What an empty page says: what is missing and what to do first."""
    st.subheader(headline)
    st.markdown(body)
