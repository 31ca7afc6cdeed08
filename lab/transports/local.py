"""The agent as a process of this machine: the controller measures itself, or a virtual device under `root`."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import ClassVar, Literal

from lab.errors import ConnectFailed

from .base import AgentBundle, ByteStream
from .deadlines import deadline_after
from .pipes import PipeStream
from .start_script import AgentStart
from .startup import start_agent

START_TIMEOUT_S = 20.0


class LocalTransport:
    """Runs `python` here; `home` is the agent's folder, `root` what the agent takes for `/` to read sensors."""

    link: ClassVar[Literal["stream", "serial"]] = "stream"

    def __init__(self, python: Path | str, home: Path, root: Path = Path("/"), *,
                 start_timeout_s: float = START_TIMEOUT_S) -> None:
        self._python = str(python)
        self._home = home.absolute()
        self._root = root.absolute()
        self._start_timeout_s = start_timeout_s

    @property
    def where(self) -> str:
        """What error texts call this device."""
        return "this machine" if self._root == Path("/") else f"this machine with sensors under {self._root}"

    def open(self, bundle: AgentBundle) -> ByteStream:
        """See Transport; the process gets a group of its own, so that Ctrl-C here does not reach it."""
        start = AgentStart(
            bundle=bundle, home=str(self._home), python=self._python, more=("--root", str(self._root)))
        stream = self._launch(start.arguments())
        return start_agent(stream, start, self.where, deadline_after(self._start_timeout_s))

    def _launch(self, arguments: list[str]) -> PipeStream:
        stderr = tempfile.TemporaryFile()  # noqa: SIM115 - the stream owns and closes it
        try:
            process = subprocess.Popen(
                arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, bufsize=0, cwd="/",
                process_group=0,
            )
        except OSError as error:
            stderr.close()
            raise ConnectFailed(
                f"{self.where}: {self._python} could not be started: {error.strerror}; "
                f"name one that exists with `lab devices add … --python PATH`"
            ) from None
        return PipeStream(process, stderr)
