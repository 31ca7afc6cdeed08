"""The process behind a virtual board: it turns the worker's processor time into what the board's sensors show.

It lives as long as someone holds the other end of its stdin, and longer while a block is running: a detached
block goes on in a world that goes on.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import select
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from .physics import Physics
from .tree import VirtualTree
from .truth import Truth, TruthLog, last_truth
from .workers import WorkerTimes, any_block_running

READY = b"ready\n"
"""Printed once the tree can be read."""

Clock = Callable[[], int]


class Follower:
    """One board's state, advanced by `tick` from the last known row of its truth file."""

    def __init__(self, physics: Physics, tree: VirtualTree, truth: TruthLog, workers: WorkerTimes, *,
                 last: Truth | None = None, clock: Clock = time.monotonic_ns) -> None:
        self._physics = physics
        self._tree = tree
        self._truth = truth
        self._workers = workers
        self._clock = clock
        self._t_ns = clock()
        self._state = physics.start()
        if last is not None and last.t_ns <= self._t_ns:  # a clock that went back is another boot: start afresh
            self._state = physics.step(last.state, self._t_ns - last.t_ns, 0)
        workers.spent_ns()
        self._show(physics.idle_w)

    def tick(self) -> None:
        """Advance to now: what the workers used since the last tick becomes power, heat and energy."""
        t_ns = self._clock()
        spent_ns = self._workers.spent_ns()
        before = self._state
        self._state = self._physics.step(before, t_ns - self._t_ns, spent_ns)
        self._t_ns = t_ns
        self._show(self._physics.mean_power_w(before, self._state))

    def _show(self, mean_power_w: float) -> None:
        self._tree.show(self._state, mean_power_w)
        self._truth.append(Truth(self._t_ns, self._state, self._physics.energy_j(self._state)))


class Lifeline:
    """A pipe whose other end someone holds; `held` turns False once nobody does."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.held = True

    def wait(self, seconds: float) -> None:
        """Sleep, or wake early because the pipe was let go."""
        until = time.monotonic() + seconds
        while self.held and (left := until - time.monotonic()) > 0:
            if select.select([self._descriptor], [], [], left)[0]:
                self.held = bool(os.read(self._descriptor, 4096))
        time.sleep(max(0.0, until - time.monotonic()))


def main(arguments: Sequence[str] | None = None) -> int:
    """Follow until the lifeline is let go and no block is running."""
    options = _options(arguments)
    physics = Physics.from_pairs(json.loads(options.physics).items())
    period_s = physics.sensor_period_ns * 1e-9
    lifeline = Lifeline(sys.stdin.fileno())
    options.root.mkdir(parents=True, exist_ok=True)
    lock = os.open(options.root.with_name(f"{options.root.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    if not _locked(lock):
        _say_ready()  # an older follower keeps this board alive until its block ends; then it is our turn
        while not _locked(lock):
            lifeline.wait(period_s)
            if not lifeline.held:
                return 0
    follower = Follower(physics, VirtualTree(options.root, options.board, physics), TruthLog(options.truth),
                        WorkerTimes(options.agent_home), last=last_truth(options.truth))
    _say_ready()
    while lifeline.held or any_block_running(options.agent_home):
        lifeline.wait(period_s)
        follower.tick()
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m lab.virtual.follower", description=__doc__)
    parser.add_argument("--root", type=Path, required=True, help="folder of the simulated tree")
    parser.add_argument("--agent-home", type=Path, required=True, help="the agent's folder, with its blocks")
    parser.add_argument("--truth", type=Path, required=True, help="CSV file for the exact state and energy")
    parser.add_argument("--board", required=True, help="name of the real board this one resembles")
    parser.add_argument("--physics", required=True, help="constants of the board as a JSON object")
    return parser.parse_args(arguments)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _say_ready() -> None:
    """Tell the starter, then leave its pipe alone: it may be closed while this process goes on."""
    os.write(sys.stdout.fileno(), READY)
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, sys.stdout.fileno())
    os.close(silence)


if __name__ == "__main__":
    sys.exit(main())
