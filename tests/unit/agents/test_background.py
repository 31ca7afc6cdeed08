"""What follows finished work runs in the loop's thread, once."""

import select
import subprocess
import sys
import threading

import pytest

from agents.background import Background


@pytest.fixture
def background():
    background = Background()
    yield background
    background.close()


def wake(background):
    assert select.select([background.descriptor], [], [], 60)[0]


def test_finished_work_wakes_the_loop_which_then_does_the_rest(background):
    threads = []
    background.start(lambda: threads.append(threading.current_thread()),
                     lambda: threads.append(threading.current_thread()))
    wake(background)
    assert background.settle()
    assert threads[0] is not threads[1] is threading.current_thread()
    assert not background.settle()


def test_nothing_finished_means_nothing_to_do(background):
    assert not background.settle()


def test_work_that_fails_still_wakes_the_loop():
    code = ("import select; from agents.background import Background; background = Background()\n"
            "background.start(lambda: 1 / 0, lambda: print('woken'))\n"
            "select.select([background.descriptor], [], [], 60); background.settle()\n")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "woken\n"


def test_much_at_once_loses_nothing(background):
    done, gate = [], threading.Event()
    for number in range(50):
        background.start(gate.wait, lambda number=number: done.append(number))
    gate.set()
    while len(done) < 50:
        wake(background)
        background.settle()
    assert sorted(done) == list(range(50))
