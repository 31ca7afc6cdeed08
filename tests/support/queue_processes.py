"""The queue's processes for real: controller, compress worker, device workers; each can be killed and started again.

`python -m tests.support.queue_processes HOME EXECUTOR ROLE…` is one of them.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_END_S = 20.0
_TAKEN_S = 15.0


class QueueProcess:
    """One process with a role; what it says goes to a log. Only the process it started is ever ended."""

    def __init__(self, home, executor_id, roles, *, environment, log, prefix=()):
        self.executor_id = executor_id
        self._words = [*prefix, sys.executable, "-m", "tests.support.queue_processes", str(home), executor_id, *roles]
        self._environment = environment
        self._log = log
        self._process = None

    def start(self):
        """Start it unless it runs; it works a second or two later."""
        if self._process is not None and self._process.poll() is None:
            return
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._words, cwd=ROOT, env=self._environment, stdin=subprocess.DEVNULL,
                                             stdout=log, stderr=log)

    def kill(self):
        """kill -9; False if it had ended by itself."""
        return self._end(signal.SIGKILL)

    def stop(self):
        """As Ctrl-C would; then by force."""
        return self._end(signal.SIGTERM)

    def said(self):
        """Its log."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def _end(self, number):
        process, self._process = self._process, None
        if process is None:
            return False
        was_running = process.poll() is None
        if was_running:
            process.send_signal(number)
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        return was_running


class Bench:
    """A context manager: a controller, a compress worker and one device worker per name in `hosts`, all started.

    With `apart` every worker has a LAB_HOME of its own, as on another machine, and files cross by a shared folder;
    else all share one LAB_HOME. `engine_url` is None for the file in LAB_HOME.
    """

    def __init__(self, folder, *, hosts=("a", "b"), engine_url=None, apart=False):
        self.folder = Path(folder)
        self.home = self.folder / "home"
        self.homes = {self.home}
        self.environment = environment_of(engine_url or f"sqlite:///{self.home / 'engine.db'}",
                                          self.folder / "shared" if apart else None)
        self.processes = {"controller": self._process(self.home, "controller", ["controller"])}
        for name, role in [("compress-1", "compress"), *((f"devices-{host}", f"devices:{host}") for host in hosts)]:
            home = self.folder / f"home-{name}" if apart else self.home
            self.homes.add(home)
            self.processes[name] = self._process(home, name, [role])

    def __enter__(self):
        self.home.mkdir(parents=True, exist_ok=True)
        for process in self.processes.values():
            process.start()
        return self

    def __exit__(self, *_):
        for process in self.processes.values():
            process.stop()

    def said(self):
        """Every log, for a test that failed."""
        return "\n".join(f"--- {name}\n{process.said()}" for name, process in self.processes.items())

    def _process(self, home, executor_id, roles):
        return QueueProcess(home, executor_id, roles, environment=self.environment,
                            log=self.folder / f"{executor_id}.log")


def environment_of(engine_url, shared=None):
    """What the queue's processes are told: where the queue is, and the folder that stands in for shared files."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "LAB_ENGINE_URL": engine_url}
    environment.pop("LAB_SHARED_URL", None)
    if shared is not None:
        shared.mkdir(parents=True, exist_ok=True)
        environment["LAB_SHARED_URL"] = f"file://{shared}"
    return environment


def main(home, executor_id, *roles):
    """Work until SIGTERM or death."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    from lab.errors import ExecutorTaken
    from lab.wiring import queue

    with contextlib.ExitStack() as stack:
        hold = _enter_when_free(stack, lambda: _working(Path(home), executor_id, roles))
        try:
            queue.until_interrupted(hold)
        except ExecutorTaken as error:
            sys.stderr.write(f"{error}\n")
            os._exit(1)
        os._exit(0)  # as `lab worker` ends


@contextlib.contextmanager
def _working(home, executor_id, roles):
    from lab.wiring import queue
    from tests.support.campaigns import real_services

    if "controller" in roles:
        with real_services(home) as services, queue.work(services, roles) as hold:
            yield hold
    else:
        with queue.work_apart(home, executor_id, roles) as hold:
            yield hold


def _enter_when_free(stack, working):
    """A server may need a moment to see that the process before this one is dead."""
    from lab.errors import ExecutorTaken

    deadline = time.monotonic() + _TAKEN_S
    while True:
        try:
            return stack.enter_context(working())
        except ExecutorTaken:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


if __name__ == "__main__":
    main(*sys.argv[1:])
