"""The block process sleeps until a child ends, time is up or SIGTERM comes, and SIGTERM is never lost."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from agents.waiting import Cancelled, Waiter

_S = 1_000_000_000


def in_s(seconds):
    return time.monotonic_ns() + int(seconds * _S)


def test_time_passes():
    with Waiter() as waiter:
        until_ns = in_s(0.05)
        assert waiter.wait(until_ns) is False
        assert time.monotonic_ns() >= until_ns


def test_the_end_of_a_child_is_noticed_long_before_the_deadline():
    with Waiter() as waiter:
        child = subprocess.Popen([sys.executable, "-S", "-c", "pass"])
        assert waiter.wait(in_s(60), lambda: child.poll() is not None) is True
    assert child.returncode == 0


def test_what_is_over_already_is_not_waited_for():
    with Waiter() as waiter:
        assert waiter.wait(in_s(-1), lambda: True) is True


def test_sigterm_ends_a_wait():
    with Waiter() as waiter:
        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGTERM)).start()
        with pytest.raises(Cancelled):
            waiter.wait(in_s(60))


def test_sigterm_before_the_wait_is_remembered():
    with Waiter() as waiter:
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(Cancelled):
            waiter.wait(in_s(60))
        with pytest.raises(Cancelled), waiter.interrupting():
            raise AssertionError("must not get here")


def test_sigterm_interrupts_a_system_call_that_waits_by_itself():
    reader, writer = os.pipe()
    try:
        with Waiter() as waiter:
            threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGTERM)).start()
            with pytest.raises(Cancelled), waiter.interrupting():
                os.read(reader, 1)
    finally:
        os.close(reader)
        os.close(writer)


def test_afterwards_signals_are_handled_as_before():
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGCHLD)
    with Waiter():
        assert signal.getsignal(signal.SIGTERM) != before[0]
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGCHLD)) == before
    assert signal.set_wakeup_fd(-1) == -1
