"""The transport of `virtual:` devices: the real agent on this host, its sensors simulated by a follower."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, ClassVar, Literal

from lab.domain.device import DeviceProfile
from lab.errors import ConfigError, ConnectFailed, ConnectionLost
from lab.transports.base import AgentBundle, ByteStream
from lab.transports.local import LocalTransport

from .follower import READY
from .physics import Physics
from .tree import TITLE_SUFFIX

START_TIMEOUT_S = 20.0
_END_TIMEOUT_S = 3.0


class VirtualTransport:
    """Starts a board's follower, then the agent. `home` is the device's folder; in it are the agent's own folder
    `agent`, the simulated tree `board`, the exact energy `truth.csv` and the follower's `follower.log`.

    Raises ConfigError if the profile describes no virtual board.
    """

    link: ClassVar[Literal["stream", "serial"]] = "stream"

    def __init__(self, profile: DeviceProfile, python: Path | str, home: Path, *,
                 start_timeout_s: float = START_TIMEOUT_S) -> None:
        if profile.transport != "virtual":
            raise ConfigError(f"profile {profile.name!r} describes a real board (transport: {profile.transport}), "
                              "so it cannot be simulated; use a profile with `transport: virtual`, such as virtual-pi4")
        self._physics = Physics.from_pairs(profile.physics)
        self._board = profile.title.removesuffix(TITLE_SUFFIX)
        self._python = python
        self._home = home.absolute()
        self._start_timeout_s = start_timeout_s

    @property
    def where(self) -> str:
        """What error texts call this device."""
        return f"the virtual board in {self._home}"

    @property
    def agent_home(self) -> Path:
        """The agent's folder."""
        return self._home / "agent"

    @property
    def root(self) -> Path:
        """What the agent takes for `/` to read sensors."""
        return self._home / "board"

    @property
    def truth(self) -> Path:
        """The table of exact states, see lab.virtual.truth."""
        return self._home / "truth.csv"

    def open(self, bundle: AgentBundle) -> ByteStream:
        """See Transport; closing the stream also lets the follower go, which stays while a block is running."""
        follower = self._start_follower()
        try:
            stream = LocalTransport(self._python, self.agent_home, self.root).open(bundle)
        except BaseException:
            follower.release()
            raise
        return _FollowedStream(stream, follower)

    def _start_follower(self) -> _FollowerProcess:
        self._home.mkdir(mode=0o700, parents=True, exist_ok=True)
        arguments = [sys.executable, "-m", "lab.virtual.follower", "--root", str(self.root), "--agent-home",
                     str(self.agent_home), "--truth", str(self.truth), "--board", self._board, "--physics",
                     json.dumps(dict(self._physics.pairs()))]
        follower = _FollowerProcess(arguments, self._home / "follower.log")
        try:
            follower.wait_ready(self._start_timeout_s)
        except BaseException:
            follower.kill()
            raise
        return follower


class _FollowerProcess:
    """A follower started here; our end of its stdin is what keeps it."""

    def __init__(self, arguments: list[str], log: Path) -> None:
        self._log = log
        packages = str(Path(__file__).resolve().parents[2])
        path = os.pathsep.join(filter(None, (packages, os.environ.get("PYTHONPATH"))))
        with log.open("wb") as errors:
            self._process = subprocess.Popen(
                arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, bufsize=0, cwd="/",
                start_new_session=True, env={**os.environ, "PYTHONPATH": path},
            )

    def wait_ready(self, timeout_s: float) -> None:
        """Return once its tree can be read; raises ConnectFailed with what it wrote to its log."""
        output = _pipe(self._process.stdout)
        ready, _, _ = select.select([output], [], [], timeout_s)
        if not ready or output.read(len(READY)) != READY:
            said = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            raise ConnectFailed(f"the virtual board's follower did not start within {timeout_s:g} s: "
                                f"{said[-1] if said else 'it said nothing'}; its log is {self._log}")
        output.close()

    def check(self) -> None:
        """Raise ConnectionLost if it has ended: a board whose sensors stand still must not be measured."""
        if self._process.poll() is not None:
            raise ConnectionLost(f"the virtual board's follower ended with status {self._process.returncode}, so its "
                                 f"sensors stand still; measure again. Its log is {self._log}")

    def release(self) -> None:
        """Let go and wait until it has ended; where it stays for a running block, go on without it."""
        with contextlib.suppress(BrokenPipeError):
            _pipe(self._process.stdin).close()
        try:
            self._process.wait(_END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            threading.Thread(target=self._process.wait, name="reap-follower", daemon=True).start()

    def kill(self) -> None:
        """End it now."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            _pipe(pipe).close()


class _FollowedStream:
    """The agent's stream, with the follower to be released at its end."""

    def __init__(self, stream: ByteStream, follower: _FollowerProcess) -> None:
        self._stream = stream
        self._follower: _FollowerProcess | None = follower

    def send(self, view: memoryview, deadline_ns: int) -> int:
        """See ByteStream."""
        self._check_follower()
        return self._stream.send(view, deadline_ns)

    def recv_into(self, view: memoryview, deadline_ns: int) -> int:
        """See ByteStream."""
        self._check_follower()
        return self._stream.recv_into(view, deadline_ns)

    def close(self) -> None:
        """See ByteStream."""
        try:
            self._stream.close()
        finally:
            follower, self._follower = self._follower, None
            if follower is not None:
                follower.release()

    def ending(self) -> str:
        """See ByteStream."""
        return self._stream.ending()

    def _check_follower(self) -> None:
        if self._follower is not None:
            self._follower.check()


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise ValueError("the follower was started without pipes")
    return pipe
