"""An agent without a process: answers the wire's requests from dictionaries, and lies where a test tells it to."""

import hashlib
import time

from agents.wire import PROTOCOL
from agents.wire.frames import HEADER, FrameError
from agents.wire.link import StreamLink
from agents.wire.messages import Message, MessageType
from lab.transports.base import AgentBundle
from lab.transports.scripted import ScriptedTransport

AGENT_SHA256 = "a" * 64

HELLO = {
    "proto": PROTOCOL, "agent_sha256": AGENT_SHA256, "python": "3.9.18", "system": "Linux", "machine": "aarch64",
    "kernel": "6.1.0", "boot_id": "boot-1", "cpu_model": "Cortex-A72", "cpu_count": 4, "isa": ["asimd"],
    "memory_bytes": 2**31, "model": "Board 4", "has_aes": False, "session": "s1",
}

FACTS = {
    "runtimes": {"onnx_runtime": "1.22.0"},
    "channels": [
        {"probe": "hwmon_power", "rail": "VDD_IN", "quantity": "power_w", "kind": "sample"},
        {"probe": "thermal", "rail": "cpu-thermal", "quantity": "temperature_c", "kind": "sample"},
        {"probe": "cpufreq", "rail": "cpu0", "quantity": "frequency_hz", "kind": "sample"},
    ],
    "unavailable": [{"probe": "rapl", "code": "absent", "reason": "no powercap folder"}],
}


def bundle(path="agent.pyz", sha256=AGENT_SHA256):
    """A bundle that only its hash is asked of."""
    return AgentBundle(path=path, sha256=sha256)


class ScriptedAgent:
    """A handler for ScriptedTransport; what it holds survives from session to session.

    `answers[op]` is a function of the request message that returns messages or raw bytes instead of the usual
    answer; `cut_after_bytes` ends the stream once, after so many bytes have come in.
    """

    def __init__(self, hello=None, facts=None):
        self.hello = {**HELLO, **(hello or {})}
        self.facts = facts or FACTS
        self.answers = {}
        self.blobs = {}
        self.partial = {}
        self.spool = {}
        self.seen = []
        self.fence = 0
        self.holder = None
        self.clock_ahead_ns = 5_000_000_000
        self.silent = False
        self.cut_after_bytes = None
        self._link = StreamLink()
        self._sizes = {}

    def transport(self):
        return ScriptedTransport(self)

    def __call__(self, data):
        if data == b"":
            self._link = StreamLink()
            return encoded(Message(MessageType.HELLO, 0, self.hello))
        if self.cut_after_bytes is not None:
            self.cut_after_bytes -= len(data)
            if self.cut_after_bytes < 0:
                self.cut_after_bytes = None
                return None
        if self.silent:
            return b""
        try:
            replies = [self._reply(message) for message in self._link.receive(data, 0)]
        except FrameError:
            return None
        return b"".join(replies)

    def add_recording(self, data, **entry):
        sha256 = hashlib.sha256(data).hexdigest()
        known = {"block_id": "b1", "cell_id": "c1", "attempt": 1, "position": 1, "sha256": sha256, "size": len(data)}
        self.spool[sha256] = (data, {**known, **entry})
        return sha256

    def ops(self):
        """Names of the requests seen, in order."""
        return [message.header["op"] for message in self.seen if message.type is MessageType.REQ]

    def _reply(self, message):
        self.seen.append(message)
        if message.type is MessageType.PING:
            now_ns = time.monotonic_ns() + self.clock_ahead_ns
            header = {**message.header, "t1_ns": now_ns, "t2_ns": now_ns + 1}
            return encoded(Message(MessageType.PONG, message.id, self.answers.get("ping", lambda h: h)(header)))
        if message.type is MessageType.DATA:
            self.partial.setdefault(message.header["sha256"], bytearray())[message.header["offset"]:] = message.body
            return self._custom("data", message) or b""
        if message.type is not MessageType.REQ:
            return b""
        op = message.header["op"]
        custom = self._custom(op, message)
        return custom if custom is not None else getattr(self, "_" + op.replace(".", "_"))(message, message.header)

    def _custom(self, op, message):
        if op not in self.answers:
            return None
        answer = self.answers[op](message)
        return answer if isinstance(answer, bytes) else b"".join(encoded(item) for item in answer)

    def _facts(self, message, _):
        return result(message, **self.facts)

    def _lease_acquire(self, message, header):
        if self.holder:
            return refusal(message, "held", owner=self.holder, expires_in_s=42)
        self.holder = header["owner"]
        self.fence += 1
        return result(message, fence=self.fence)

    def _lease_kick(self, message, header):
        holder, self.holder = self.holder, header["owner"]
        self.fence += 1
        return result(message, fence=self.fence, holder=holder, block_id=None)

    def _lease_renew(self, message, header):
        return self._fenced(message, header) or result(message)

    def _lease_release(self, message, header):
        stale = self._fenced(message, header)
        self.holder = None if not stale else self.holder
        return stale or result(message)

    def _put_open(self, message, header):
        self._sizes[header["sha256"]] = header["size"]
        if header["sha256"] in self.blobs:
            return result(message, have=True)
        return result(message, have=False, offset=len(self.partial.get(header["sha256"], b"")))

    def _put_commit(self, message, header):
        data = bytes(self.partial.pop(header["sha256"], b""))
        if len(data) != self._sizes[header["sha256"]]:
            return refusal(message, "short")
        if hashlib.sha256(data).hexdigest() != header["sha256"]:
            return refusal(message, "hash_mismatch")
        self.blobs[header["sha256"]] = data
        return result(message)

    def _block_start(self, message, header):
        return self._fenced(message, header) or result(message)

    def _block_wait(self, message, _):
        return result(message, state="done", position=3, windows_done=2, error=None)

    def _block_status(self, message, _):
        return result(message, state="running", position=1, windows_done=0, error=None)

    def _block_cancel(self, message, header):
        return self._fenced(message, header) or result(message)

    def _spool_list(self, message, header):
        entries = [entry for _, entry in self.spool.values() if header.get("block_id") in (None, entry["block_id"])]
        return result(message, entries=entries)

    def _spool_get(self, message, header):
        data, _ = self.spool[header["sha256"]]
        chunks = [data_message(message, at, data[at:at + 30_000]) for at in range(header["offset"], len(data), 30_000)]
        return b"".join(encoded(chunk) for chunk in chunks) + result(message, size=len(data), after_data=True)

    def _spool_ack(self, message, header):
        known = [sha256 for sha256 in header["sha256s"] if self.spool.pop(sha256, None)]
        return result(message, removed=len(known))

    def _fenced(self, message, header):
        return None if header["fence"] == self.fence else refusal(message, "fenced")


def encoded(message):
    """Bytes of a message or of raw bytes."""
    if isinstance(message, bytes):
        return message
    link = StreamLink()
    link.send(message)
    return link.poll(0)[0]


def result(request, **header):
    """Bytes of a RES."""
    return encoded(Message(MessageType.RES, request.id, header))


def refusal(request, code, message="refused by the script", **header):
    """Bytes of an ERR."""
    return encoded(Message(MessageType.ERR, request.id, {"code": code, "message": message, **header}))


def data_message(request, offset, body):
    """A DATA of a spool.get."""
    return Message(MessageType.DATA, request.id, {"sha256": request.header.get("sha256", ""), "offset": offset}, body)


def truncated(request):
    """A frame that announces more than it holds, followed by another frame."""
    whole = result(request, filler="x" * 100)
    return whole[:HEADER.size + 10] + result(request)
