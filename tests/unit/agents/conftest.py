"""The bundle under test, built once, and agents that end with their test."""

from pathlib import Path

import pytest

from tests.support.agent_process import AgentProcess, build_agent
from tests.support.block_watching import leased_on, make_board


@pytest.fixture(scope="session")
def bundle(tmp_path_factory):
    """The agent as a zipapp."""
    return build_agent(tmp_path_factory.mktemp("bundle"))


@pytest.fixture
def start_agent(bundle, tmp_path):
    """Starts an agent on a home of this test; all are ended with it."""
    started = []

    def start(**options):
        agent = AgentProcess(bundle, options.pop("home", tmp_path / "home"), **options)
        started.append(agent)
        agent.__enter__()
        return agent

    yield start
    for agent in started:
        agent.close()


@pytest.fixture
def agent(start_agent):
    """One agent on an empty home."""
    return start_agent()


@pytest.fixture
def leased(start_agent):
    """An agent whose lease is held and which has one artifact for no_op."""
    return leased_on(start_agent, Path("/"))


@pytest.fixture
def board(tmp_path):
    """The root of a small board."""
    return make_board(tmp_path / "root")
