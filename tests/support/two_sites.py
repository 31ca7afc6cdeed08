"""A controller and a device at two network sites, with PostgreSQL by TLS between them; everything is the product's CLI.

At the controller's site: the database, `lab worker`. At the device's site: an SSH server as the device, and
`lab worker --agent-host site-b` with a LAB_HOME of its own. Artifacts and recordings cross by a folder that both sites
reach: it stands in for the object store, and is not cut when the wire is.
"""

import contextlib
import getpass
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.support.campaigns import write_pair
from tests.support.netns import ADDRESSES, CONTROLLER, DEVICE, Sites
from tests.support.postgres import Postgres
from tests.support.queue_processes import environment_of
from tests.support.sshd import Sshd

AGENT_HOST = "site-b"
_SAY_S = 120.0
_END_S = 20.0


class TwoSites:
    """A context manager: both sites up, both workers working, device `bench` registered from the controller's site."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self._stack = contextlib.ExitStack()
        self._workers = []
        self._submitted = 0
        self.home, self.worker_home = (self.folder / site / "lab" for site in (CONTROLLER, DEVICE))
        self.homes = {self.home, self.worker_home}

    def __enter__(self):
        with self._stack:
            self.sites = self._stack.enter_context(Sites())
            self.postgres = self._stack.enter_context(Postgres(
                address=ADDRESSES[CONTROLLER], tls=True, prefix=self.sites.prefix(CONTROLLER)))
            self.device = self._stack.enter_context(Sshd(
                self.folder / "device", address=ADDRESSES[DEVICE], prefix=self.sites.prefix(DEVICE)))
            self._stack.callback(self._stop_workers)
            self._let_in(DEVICE)
            self._start_worker(CONTROLLER)
            self._start_worker(DEVICE, "--agent-host", AGENT_HOST)
            self._register()
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *_):
        self._stack.close()

    def lab(self, site, *words):
        """One command there: a CompletedProcess with texts."""
        return subprocess.run(self._command(site, *words), env=self._environment(site), cwd=self.folder, text=True,
                              capture_output=True, check=False, timeout=_SAY_S)

    def submit(self, name, *, blocks=3, window_s=0.5):
        """Queue a campaign of a baseline and one technique on `bench`; returns its id.

        Its windows are longer than asked for by some milliseconds, so that its cells are no earlier campaign's.
        """
        self._submitted += 1
        file = self.folder / f"{name}.yaml"
        spec = write_pair(self.folder / "pair")
        file.write_text(
            f"name: {name}\nworkload: {spec}\ndevices: [bench]\ntechniques:\n  int8: [quantize_static]\nprotocol:\n"
            f"  {{preset: quick, window_s: {window_s + self._submitted / 1000:.3f}, warmup_s: 0.05, "
            f"idle_s: 0.2, blocks_min: {blocks}, blocks_max: {blocks}}}\n")
        done = self.lab(CONTROLLER, "campaigns", "submit", str(file))
        assert done.returncode == 0, done.stderr
        return re.search(r"\(([^)]+)\)", done.stdout)[1]

    def said(self):
        """What both workers printed."""
        return "\n".join(f"--- {path.name}\n{path.read_text(errors='replace')}" for path in self.folder.glob("*.log"))

    def _register(self):
        """As a user would: the host's key is refused first, and accepted by its fingerprint."""
        words = ("devices", "add", "bench", f"ssh://{getpass.getuser()}@{ADDRESSES[DEVICE]}:{self.device.port}",
                 "--python", sys.executable, "--agent-host", AGENT_HOST)
        refused = self.lab(CONTROLLER, *words)
        accept = re.search(r"--accept-key (SHA256:\S+?)[`'.\s]", refused.stderr + " ")
        assert accept, refused.stderr + self.said()
        added = self.lab(CONTROLLER, *words, "--accept-key", accept[1])
        assert added.returncode == 0, added.stderr + self.said()

    def _let_in(self, site):
        """The user at that site has the key of the device."""
        ssh = self.folder / site / ".ssh"
        ssh.mkdir(parents=True, mode=0o700)
        (ssh / "config").write_text(f"Host {ADDRESSES[DEVICE]}\n  IdentityFile {self.device.user_key}\n"
                                    "  IdentitiesOnly yes\n")

    def _start_worker(self, site, *words):
        with (self.folder / f"worker-{site}.log").open("ab") as log:
            self._workers.append(subprocess.Popen(
                self._command(site, "worker", *words), env=self._environment(site), cwd=self.folder,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log))

    def _stop_workers(self):
        for process in self._workers:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            try:
                process.wait(_END_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _command(self, site, *words):
        return [*self.sites.prefix(site), sys.executable, "-m", "lab.cli.main", *words]

    def _environment(self, site):
        environment = environment_of(self.postgres.url(), self.folder / "shared")
        environment.pop("SSH_AUTH_SOCK", None)
        home = self.folder / site
        home.mkdir(exist_ok=True)
        return {**environment, "HOME": str(home), "LAB_HOME": str(home / "lab")}


def wait_until(is_so, wait_s, what):
    """Return once `is_so()`; fails after `wait_s` seconds with `what`, a text or a function that makes one."""
    deadline = time.monotonic() + wait_s
    while not is_so():
        assert time.monotonic() < deadline, what() if callable(what) else what
        time.sleep(0.1)
