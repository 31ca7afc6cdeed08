"""What the supervisor believes about a block comes from its lock and its files, whoever started it."""

import fcntl
import os
from pathlib import Path

import pytest

from agents.background import Background
from agents.block import block_status
from agents.block_control import Blocks, is_locked
from agents.errors import Refused
from agents.home import AgentHome, read_json, write_json
from tests.support.agent_process import block_plan, window_plan


@pytest.fixture
def home(tmp_path):
    home = AgentHome(tmp_path / "home")
    home.create()
    return home


@pytest.fixture
def blocks(home):
    background = Background()
    yield Blocks(home, Path("/"), "boot-1", background)
    background.close()


@pytest.fixture
def lock():
    """Holds locks as a block process would, until the test ends."""
    held = []

    def hold(path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        held.append(descriptor)
        fcntl.flock(descriptor, fcntl.LOCK_EX)

    yield hold
    for descriptor in held:
        os.close(descriptor)


def store(home, block_id, **status):
    home.block(block_id).mkdir()
    write_json(home.block(block_id) / "status.json", block_status(**status))


def test_a_block_nobody_heard_of_is_unknown(blocks):
    assert blocks.status("b") == {"state": "unknown", "position": 0, "windows_done": 0, "error": None}


def test_a_block_whose_process_holds_its_lock_is_running(blocks, home, lock):
    store(home, "b", state="running", position=2, windows_done=1)
    lock(home.block("b") / "lock")
    assert blocks.status("b") == {"state": "running", "position": 2, "windows_done": 1, "error": None}


def test_a_block_whose_lock_is_free_has_failed_and_stays_so(blocks, home):
    store(home, "b", state="running", position=2, windows_done=1)
    status = blocks.status("b")
    assert (status["state"], status["position"], status["windows_done"]) == ("failed", 2, 1)
    assert "ended unexpectedly" in status["error"]
    assert read_json(home.block("b") / "status.json") == status == blocks.status("b")


def test_what_a_dead_block_said_last_is_told(blocks, home):
    store(home, "b", state="running")
    (home.block("b") / "log.txt").write_text("Traceback …\nMemoryError: no more\n")
    assert blocks.status("b")["error"] == "block process ended unexpectedly: MemoryError: no more"


@pytest.mark.parametrize("state", ["done", "failed", "cancelled"])
def test_a_final_status_is_final_whatever_the_lock_says(blocks, home, state, lock):
    store(home, "b", state=state, error="because")
    lock(home.block("b") / "lock")
    assert blocks.status("b")["state"] == state


def test_signals_go_nowhere_once_a_block_has_ended(blocks, home):
    store(home, "b", state="done")
    (home.block("b") / "block.pid").write_text(str(os.getpid()))
    blocks.cancel("b")
    blocks.kill("b")
    assert blocks.status("b")["state"] == "done"


def test_a_second_block_is_refused_while_one_holds_the_home(blocks, home, lock):
    lock(home.block_lock)
    with pytest.raises(Refused) as caught:
        blocks.start(block_plan(window_plan("a" * 64)), 1)
    assert caught.value.code == "busy"
    assert caught.value.retryable
    assert list(home.blocks.iterdir()) == []


def test_state_is_not_put_back_while_a_block_runs(blocks, home, lock):
    home.state_journal.write_text("{}")
    lock(home.block_lock)
    assert blocks.restore_state_if_idle() == []
    assert home.state_journal.exists()


def test_a_lock_file_is_free_absent_or_held(tmp_path, lock):
    assert not is_locked(tmp_path / "absent")
    (tmp_path / "free").touch()
    assert not is_locked(tmp_path / "free")
    lock(tmp_path / "held")
    assert is_locked(tmp_path / "held")


def test_an_error_text_is_bounded():
    assert len(block_status("failed", error="x" * 10_000)["error"]) == 2000
