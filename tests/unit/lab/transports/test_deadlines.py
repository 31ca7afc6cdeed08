"""Deadlines and bounded calls."""

import threading
import time

import pytest

from lab.errors import TransportTimeout
from lab.transports.deadlines import call_within, deadline_after, remaining_s


def test_a_deadline_counts_down_and_never_below_zero():
    assert 50 < remaining_s(deadline_after(60)) <= 60
    assert remaining_s(deadline_after(-1)) == 0


def test_returns_what_the_function_returns():
    assert call_within(10, lambda: 42, "answer") == 42


def test_raises_what_the_function_raises():
    with pytest.raises(ZeroDivisionError):
        call_within(10, lambda: 1 // 0, "division")


def test_a_call_that_hangs_is_left_behind():
    release = threading.Event()
    started = time.monotonic()
    with pytest.raises(TransportTimeout, match=r"look-up: no end within 0\.05 s"):
        call_within(0.05, lambda: release.wait(30), "look-up")
    assert time.monotonic() - started < 10
    release.set()
