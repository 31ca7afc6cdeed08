"""Two sites on one machine: network namespaces joined by a wire that a test can cut. Needs root.

A bridge in a third namespace is the wire. Cutting it there is the hard case of a real outage: both sites keep their
carrier and their connections, and nothing arrives. Pulling one site's cable is the easy one: its carrier goes.
"""

import contextlib
import itertools
import os
import subprocess

CONTROLLER, DEVICE = "controller", "device"
ADDRESSES = {CONTROLLER: "10.77.0.1", DEVICE: "10.77.0.2"}
"""IPv4 address of each site; namespaces have routes of their own, so many pairs may use the same two."""

_NUMBERS = itertools.count()
_END_S = 10.0


def _ip(*words):
    """One `ip` command; raises RuntimeError with its words and what it said."""
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"ip {' '.join(words)} failed: {done.stderr.strip()}")
    return done.stdout


def _end(process):
    """The process is gone and its pipes are closed, whatever still stood in them."""
    if process.poll() is None:
        process.kill()
        process.wait(_END_S)
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe:
            with contextlib.suppress(BrokenPipeError):
                pipe.close()


class Sites:
    """A context manager. Processes started with `exec` end with it; those of other starters are theirs to end."""

    def __init__(self):
        stem = f"jl{os.getpid()}-{next(_NUMBERS)}"
        self._wire = f"{stem}-wire"
        self._names = {site: f"{stem}-{site}" for site in ADDRESSES}
        self._made = []
        self._processes = []

    def __enter__(self):
        try:
            self._build()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        try:
            for process in self._processes:
                _end(process)
        finally:
            self._remove()

    def name(self, site):
        """The namespace's name."""
        return self._names[site]

    def prefix(self, site):
        """What to put before a command so that it starts at that site; `ip` becomes it, so its pid is the command's."""
        return ["ip", "netns", "exec", self._names[site]]

    def exec(self, site, argv, **popen):
        """Start a command at that site: a Popen."""
        process = subprocess.Popen([*self.prefix(site), *map(str, argv)], **popen)
        self._processes.append(process)
        return process

    def cut(self, site=None):
        """Silence on the wire, or pull one site's cable. Cutting twice is cutting once."""
        _ip("-n", self._wire, "link", "set", site or "bridge", "down")

    def heal(self):
        """Undo every cut. Connections that survived go on, once TCP tries again."""
        for link in ("bridge", *ADDRESSES):
            _ip("-n", self._wire, "link", "set", link, "up")

    def _remove(self):
        failed = []
        while self._made:
            try:
                _ip("netns", "del", self._made.pop())
            except RuntimeError as error:
                failed.append(str(error))
        if failed:
            raise RuntimeError("; ".join(failed))

    def _build(self):
        for name in (self._wire, *self._names.values()):
            _ip("netns", "add", name)
            self._made.append(name)
            _ip("-n", name, "link", "set", "lo", "up")
        _ip("-n", self._wire, "link", "add", "bridge", "type", "bridge")
        for site, address in ADDRESSES.items():
            name = self._names[site]
            _ip("-n", self._wire, "link", "add", site, "type", "veth", "peer", "name", "wire", "netns", name)
            _ip("-n", self._wire, "link", "set", site, "master", "bridge")
            _ip("-n", name, "address", "add", f"{address}/24", "dev", "wire")
            _ip("-n", name, "link", "set", "wire", "up")
        self.heal()


def _works():
    """Whether this machine lets us: tried, since root in a container may not. Whatever fails says no."""
    if os.geteuid() != 0:
        return False
    try:
        with Sites() as sites:
            return sites.exec(CONTROLLER, ["true"]).wait(_END_S) == 0
    except (OSError, RuntimeError, subprocess.TimeoutExpired):
        return False


AVAILABLE = _works()
