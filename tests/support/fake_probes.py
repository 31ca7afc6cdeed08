"""Probes that behave in one known way, for tests of what uses probes."""

from __future__ import annotations

import threading
import time

from agents.probes.base import Channel, Reading, Unavailable


class Steady:
    """One energy counter and one power sensor; each read advances the counter by 1."""

    def __init__(self, clock=time.monotonic_ns):
        self._clock = clock
        self._count = 0

    def discover(self, root):  # noqa: ARG002
        return (Channel("package", "energy_j", "counter", 1e-6, 2**32), Channel("in", "power_w", "sample", 1e-3))

    def read(self):
        before, self._count = self._clock(), self._count + 1
        return (Reading(before, before + 10, self._count), Reading(before, before + 20, 5000))


class Temperature:
    """One temperature."""

    def discover(self, root):  # noqa: ARG002
        return (Channel("cpu", "temperature_c", "sample", 1e-3),)

    def read(self):
        return (Reading(1, 2, 42_000),)


class Absent:
    """Not on this device."""

    def discover(self, root):  # noqa: ARG002
        return Unavailable("absent", "nothing here")


class Forbidden:
    """Not for this user."""

    def discover(self, root):  # noqa: ARG002
        return Unavailable("permission", "only root may read it")


class Breaking:
    """Fails while it looks."""

    def discover(self, root):  # noqa: ARG002
        raise OSError(5, "the bus hangs")


class Crowd:
    """More channels than one recording holds."""

    def discover(self, root):  # noqa: ARG002
        return tuple(Channel(f"rail{n}", "power_w", "sample", 1.0) for n in range(300))


STUCK = (Channel("stuck", "temperature_c", "sample", 1.0),)


class Hanging:
    """Answers `good` reads, then none until `released`."""

    def __init__(self, good=0, channels=STUCK):
        self.released = threading.Event()
        self.reads = 0
        self._good = good
        self._channels = channels

    def discover(self, root):  # noqa: ARG002
        return self._channels

    def read(self):
        self.reads += 1
        if self.reads > self._good:
            self.released.wait()
        now_ns = time.monotonic_ns()
        return tuple(Reading(now_ns, now_ns + 1, 20) for _ in self._channels)
