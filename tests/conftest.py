"""Fixtures for every test: a home of its own, and one rule for what may be missing on this machine."""

import os

import hypothesis
import pytest

os.environ.setdefault("OMP_NUM_THREADS", "2")
hypothesis.settings.register_profile("house", deadline=None)  # a busy machine is no counter-example
hypothesis.settings.load_profile("house")


def need(name, available):
    """Skip where `name` is missing, unless JOULELAB_REQUIRE lists it: then its absence is a failure."""
    if available:
        return
    if name in os.environ.get("JOULELAB_REQUIRE", "").split(","):
        pytest.fail(f"{name} is required here (JOULELAB_REQUIRE) but was not found")
    pytest.skip(f"{name} was not found on this machine")


@pytest.fixture
def lab_home(tmp_path):
    """An empty LAB_HOME."""
    home = tmp_path / "home"
    home.mkdir()
    return home
