"""One process per executor."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pytest

from lab.campaigns.engine.guard import Hold, only_one
from lab.errors import ExecutorTaken
from lab.wiring import queue

_HOLD = ("import sys; from pathlib import Path; from lab.campaigns.engine.guard import only_one\n"
         "with only_one(Path(sys.argv[1]), 'sqlite:///x', 'one'):\n    print('held', flush=True); sys.stdin.read()\n")


def test_a_second_process_is_refused_until_the_first_has_died(tmp_path):
    """kill -9 frees the name: nothing has to be cleaned up by hand."""
    with subprocess.Popen([sys.executable, "-c", _HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          text=True) as first:
        assert first.stdout.readline() == "held\n"
        with pytest.raises(ExecutorTaken, match="'one'"), only_one(tmp_path, "sqlite:///x", "one"):
            pass
        with only_one(tmp_path, "sqlite:///x", "another"):
            pass
        first.kill()
        first.wait()
    with only_one(tmp_path, "sqlite:///x", "one"):
        assert (tmp_path / "locks/executor-one.lock").exists()


def test_a_name_kept_by_a_file_is_not_lost(tmp_path):
    """The kernel frees it when this process ends, and not before."""
    with only_one(tmp_path, "sqlite:///x", "one") as hold:
        hold.check()
        assert not hold.is_lost


def test_who_waits_for_its_end_is_told_that_another_took_over():
    """Working beside the other one would begin its calls a second time."""
    hold = Hold("devices-a", SimpleNamespace(is_lost=True))
    with pytest.raises(ExecutorTaken, match="'devices-a'"):
        queue.until_interrupted(hold)
