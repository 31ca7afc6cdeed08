"""The real agent as a child process, built as a zipapp, and a small controller that talks to it."""

from __future__ import annotations

import hashlib
import itertools
import os
import secrets
import select
import shutil
import subprocess
import sys
import time
import zipapp
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

import agents
from agents.wire.frames import PreambleSkipper
from agents.wire.host_lock_place import HOST_LOCK_FOLDER_VARIABLE
from agents.wire.link import StreamLink
from agents.wire.messages import DATA_BODY_BYTES, Header, Message, MessageType
from agents.wire.plan import BlockPlan, WindowPlan, plan_to_json
from agents.wire.recording import unpack_recording

TIMEOUT_S = 60.0
_S = 1_000_000_000


class AgentRefused(Exception):
    """The agent answered ERR; `code` and the whole `header` are kept."""

    def __init__(self, header: Header) -> None:
        super().__init__(f"{header.get('code')}: {header.get('message')}")
        self.code = header.get("code")
        self.header = header


def build_agent(folder: Path) -> Path:
    """A zipapp of the `agents` package under test."""
    source = folder / "source"
    shutil.copytree(Path(agents.__file__).parent, source / "agents", ignore=shutil.ignore_patterns("__pycache__"))
    (source / "__main__.py").write_text("import sys\nfrom agents.__main__ import main\nsys.exit(main())\n")
    bundle = folder / "agent-test.pyz"
    zipapp.create_archive(source, bundle, compressed=True)
    return bundle


class AgentProcess:
    """`agent.pyz serve` with pipes; a context manager that ends it. Every wait has a deadline."""

    def __init__(self, bundle: Path, home: Path, *, root: Path = Path("/"), scratch: Optional[Path] = None,
                 command: Optional[List[str]] = None, **popen: Any) -> None:
        self.home = home
        token = secrets.token_hex(16)
        start = command or [sys.executable, "-S", "-E", "-u", str(bundle)]
        # A folder of its own keeps this agent's host lock apart from whatever else runs on the machine.
        scratch = scratch or home.parent
        environment = {**os.environ, HOST_LOCK_FOLDER_VARIABLE: str(scratch)}
        self._log = (scratch / f"{home.name}-{token[:6]}.log").open("wb")
        self.process = subprocess.Popen([*start, "serve", "--token", token, "--home", str(home), "--root", str(root)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log,
                                        env=environment, **popen)
        self._link = StreamLink()
        self._skipper = PreambleSkipper(token.encode())
        self._ids = itertools.count(1)
        self._inbox: List[Message] = []
        self.fence = 0

    def __enter__(self) -> AgentProcess:
        try:
            self.hello = self.receive(0).header
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> int:
        """End of file for the agent; its exit status."""
        if self.process.stdin and not self.process.stdin.closed:
            self.process.stdin.close()
        try:
            return self.process.wait(TIMEOUT_S)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            if self.process.stdout:
                self.process.stdout.close()
            self._log.close()

    def log(self) -> str:
        """What the agent wrote to stderr so far."""
        return Path(self._log.name).read_text()

    def write(self, data: bytes) -> None:
        """Raw bytes to the agent's stdin."""
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def send(self, kind: MessageType, header: Header, body: bytes = b"", number: Optional[int] = None) -> int:
        """One message; its id."""
        number = next(self._ids) if number is None else number
        self._link.send(Message(kind, number, header, body))
        frame, _ = self._link.poll(0)
        self.write(frame)
        return number

    def ask(self, op: str, **fields: Any) -> int:
        """A request; its id."""
        return self.send(MessageType.REQ, {"op": op, **fields})

    def receive(self, number: int, timeout_s: float = TIMEOUT_S) -> Message:
        """The next message with that id; raises TimeoutError or EOFError."""
        deadline = time.monotonic() + timeout_s
        while True:
            for message in self._inbox:
                if message.id == number:
                    self._inbox.remove(message)
                    return message
            self._read_some(deadline)

    def _read_some(self, deadline: float) -> None:
        descriptor = self.process.stdout.fileno()
        ready, _, _ = select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            raise TimeoutError(f"no message; the agent's log says {self.log()!r}")
        data = os.read(descriptor, 1 << 20)
        if not data:
            raise EOFError(f"the agent ended the wire; its log says {self.log()!r}")
        self._inbox += self._link.receive(self._skipper.feed(data), 0)

    def answer(self, number: int, timeout_s: float = TIMEOUT_S) -> Header:
        """The header of the RES to that request; raises AgentRefused for an ERR."""
        message = self.receive(number, timeout_s)
        if message.type == MessageType.ERR:
            raise AgentRefused(message.header)
        assert message.type == MessageType.RES
        return message.header

    def call(self, op: str, **fields: Any) -> Header:
        """A request and its answer."""
        return self.answer(self.ask(op, **fields))

    def acquire(self, owner: str = "test", ttl_s: float = 600) -> int:
        """Take the lease and remember its fence."""
        self.fence = self.call("lease.acquire", owner=owner, ttl_s=ttl_s)["fence"]
        return self.fence

    def open_put(self, sha256: str, size: int) -> Tuple[int, Header]:
        """Begin an upload; the request's id, for its DATA, and the answer."""
        number = self.ask("put.open", sha256=sha256, size=size, fence=self.fence)
        return number, self.answer(number)

    def send_data(self, number: int, sha256: str, data: bytes, offset: int = 0) -> None:
        """DATA messages for the bytes from `offset` on."""
        for at in range(offset, len(data), DATA_BODY_BYTES):
            self.send(MessageType.DATA, {"sha256": sha256, "offset": at}, data[at:at + DATA_BODY_BYTES], number)

    def put(self, data: bytes) -> str:
        """Upload a file; its SHA-256."""
        sha256 = hashlib.sha256(data).hexdigest()
        number, answer = self.open_put(sha256, len(data))
        if not answer["have"]:
            self.send_data(number, sha256, data, answer["offset"])
            self.call("put.commit", sha256=sha256, fence=self.fence)
        return sha256

    def start(self, plan: BlockPlan) -> None:
        """Start a block."""
        self.call("block.start", plan=plan_to_json(plan), fence=self.fence)

    def wait(self, plan: BlockPlan, timeout_s: float = TIMEOUT_S) -> Header:
        """The block's status once it has ended."""
        return self.call("block.wait", block_id=plan.block_id, timeout_s=timeout_s)

    def fetch(self, sha256: str, offset: int = 0) -> bytes:
        """A spooled window from `offset` on, checked against the announced size."""
        number, data = self.ask("spool.get", sha256=sha256, offset=offset), b""
        while True:
            message = self.receive(number)
            if message.type == MessageType.ERR:
                raise AgentRefused(message.header)
            if message.type == MessageType.RES:
                assert offset + len(data) == message.header["size"]
                return data
            assert message.header == {"sha256": sha256, "offset": offset + len(data)}
            data += message.body

    def collect(self, plan: BlockPlan) -> Dict[int, Tuple[Dict[str, Any], Dict[str, Any]]]:
        """Header and arrays of all of a block's recordings by position, each checked against its hash."""
        found = {}
        for entry in self.call("spool.list", block_id=plan.block_id)["entries"]:
            data = self.fetch(entry["sha256"])
            assert hashlib.sha256(data).hexdigest() == entry["sha256"]
            assert len(data) == entry["size"]
            found[entry["position"]] = unpack_recording(data)
        return found


def window_plan(artifact_sha256: str, **changes: Any) -> WindowPlan:
    """A window of a twentieth of a second on the no_op runtime, unless changed."""
    values: Dict[str, Any] = {
        "cell_id": "cell-1", "artifact_sha256": artifact_sha256, "inputs_sha256": None, "runtime": "no_op",
        "threads": 1, "batch": 1, "warmup_ns": _S // 100, "length_ns": _S // 20, "inferences_min": 10, **changes}
    return WindowPlan(**values)


def block_plan(*windows: WindowPlan, **changes: Any) -> BlockPlan:
    """A block of these windows with short idles and no probes, unless changed."""
    values: Dict[str, Any] = {
        "block_id": "block-1", "number": 0, "attempt": 1, "windows": windows, "idle_ns": _S // 20, "probes": (),
        "sample_rate_hz": 50.0, "window_deadline_ns": 30 * _S, **changes}
    return BlockPlan(**values)
