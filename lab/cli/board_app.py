"""Streamlit's entry script for the board: opens the store under LAB_HOME for reading and draws the page."""

from lab.board.app import render
from lab.board.data import Sources
from lab.config.profile import load_profile
from lab.config.settings import lab_home
from lab.store.store import Store


def _sources() -> Sources:
    home = lab_home()
    return Sources(home=home, open_store=lambda: Store.open(home, read_only=True),
                   load_profile=lambda name: load_profile(name, home / "profiles")[0])


render(_sources)
