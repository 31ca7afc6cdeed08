"""Puts the pages together: navigation, style, and errors as text."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import partial

import streamlit as st

from lab.errors import LabError

from .data import Sources
from .theme import STYLE
from .views import VIEWS
from .words import LONG_LIMIT, markdown_text


def render(build_sources: Callable[[], Sources]) -> None:
    """Draw the board; called by Streamlit's entry script on every interaction."""
    st.set_page_config(page_title="JouleLab board", layout="wide")
    pages = [st.Page(partial(render_view, name, build_sources), title=name.capitalize(), url_path=name,
                     default=index == 0) for index, name in enumerate(VIEWS)]
    st.navigation(pages, position="top").run()


def render_view(name: str, build_sources: Callable[[], Sources]) -> None:
    """Draw one page; an error of the lab becomes its text, never a traceback."""
    st.html(STYLE)
    try:
        _view(name)(build_sources())
    except LabError as error:
        st.error(_error_text(error))


def _view(name: str) -> Callable[[Sources], None]:
    module, function = VIEWS[name].split(":")
    found: Callable[[Sources], None] = getattr(importlib.import_module(module), function)
    return found


def _error_text(error: LabError) -> str:
    notes = getattr(error, "__notes__", ())
    return "  \n".join(markdown_text(part, LONG_LIMIT) for part in (str(error), *notes))
