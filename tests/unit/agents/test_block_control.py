"""What the supervisor believes about a block comes from its lock and its files, whoever started it."""

import fcntl
import os
import select
from pathlib import Path

import pytest

from agents.background import Background
from agents.block import block_status
from agents.block_control import Blocks, is_locked
from agents.errors import Refused
from agents.home import AgentHome, read_json, write_json
from agents.host_lock import open_host_lock
from agents.wire.host_lock_place import HOST_LOCK_FOLDER_VARIABLE
from tests.support.agent_process import block_plan, window_plan
from tests.support.block_watching import until


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
    assert blocks.status("b") == {"state": "unknown", "position": 0, "windows_done": 0, "error": None, "waiting": False}


def test_a_block_whose_process_holds_its_lock_is_running(blocks, home, lock):
    store(home, "b", state="running", position=2, windows_done=1)
    lock(home.block("b") / "lock")
    assert blocks.status("b") == {"state": "running", "position": 2, "windows_done": 1, "error": None, "waiting": False}


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
    assert caught.value.extra["block_id"] is None  # its process holds no block's lock yet
    assert list(home.blocks.iterdir()) == []
    store(home, "a", state="done")
    store(home, "b", state="running")
    lock(home.block("b") / "lock")
    with pytest.raises(Refused) as caught:
        blocks.start(block_plan(window_plan("a" * 64)), 1)
    assert caught.value.header()["block_id"] == "b" == blocks.running()


def test_a_status_of_an_older_agent_says_that_it_does_not_wait(blocks, home):
    home.block("b").mkdir()
    old = {"state": "done", "position": 2, "windows_done": 1, "error": None}
    write_json(home.block("b") / "status.json", old)
    assert blocks.status("b") == {**old, "waiting": False}


def test_an_end_that_is_noticed_after_the_next_attempt_began_leaves_that_one_alone(home, monkeypatch, tmp_path):
    monkeypatch.setenv(HOST_LOCK_FOLDER_VARIABLE, str(tmp_path))
    background = Background()
    blocks = Blocks(home, Path("/"), "boot-1", background)
    window = window_plan("a" * 64)
    try:
        blocks.start(block_plan(window), 0)  # the fence of a lease that nobody holds, so that the block soon fails
        until(lambda: select.select([background.descriptor], [], [], 0.1)[0], "end of the first attempt")
        descriptor = open_host_lock(tmp_path)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        blocks.start(block_plan(window, attempt=2), 0)
        assert background.settle()  # of the first; would wait for ever if it took the second for it
        assert blocks.status("block-1")["waiting"] is True
        os.close(descriptor)
        until(lambda: background.settle() and blocks.status("block-1")["state"] == "failed", "end of the second")
    finally:
        background.close()


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
