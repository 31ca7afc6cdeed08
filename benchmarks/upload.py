"""Upload over SSH against OpenSSH's sftp: `python -m benchmarks.upload [--quick] [--json]`.

One loopback sshd, one file of random bytes, rounds interleaved so that other load meets all alike. For sftp the whole
process is timed less the process with an empty batch (connecting and logging in); for us `session.put`, which includes
the agent's SHA-256 and its fsyncs. Files lie in memory where the system has a folder for that.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.table import Row, print_table
from lab.devices.bundle import build_bundle
from lab.devices.session import AgentSession
from lab.transports.ssh import SshTransport
from tests.support.sshd import AVAILABLE, Sshd

DEFAULT_LIMIT_RATIO = 0.8
SAME_CIPHER_LIMIT_RATIO = 1.1
FAST_CIPHER = "aes128-gcm@openssh.com"
PLAIN_CIPHER = "aes128-ctr"
_MEMORY = Path("/dev/shm")
_LEASE_S = 3600
_OWNER = "benchmarks.upload"


@dataclass
class Times:
    """Seconds per round of each way; `again_bytes` is what a second upload of the same file sent."""

    handshake_s: list[float] = field(default_factory=list)
    default_s: list[float] = field(default_factory=list)
    same_cipher_s: list[float] = field(default_factory=list)
    ours_s: list[float] = field(default_factory=list)
    again_bytes: list[int] = field(default_factory=list)


def main() -> int:
    """Print the table; the exit code says whether all targets were met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="20 MB, 2 rounds")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    size_bytes, rounds = (20_000_000, 2) if arguments.quick else (100_000_000, 5)
    title = f"Upload of {size_bytes / 1e6:.0f} MB over loopback SSH, median of {rounds} rounds"
    if not AVAILABLE:
        return print_table(title, [_absent()], arguments.json)
    memory = str(_MEMORY) if os.access(_MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=memory) as folder, Sshd(Path(folder) / "sshd") as server:
        cipher, times = measure(server, Path(folder), size_bytes, rounds)
    return print_table(title, rows_of(cipher, times), arguments.json)


def measure(server: Sshd, folder: Path, size_bytes: int, rounds: int) -> tuple[str, Times]:
    """Times of all rounds, and the cipher that this host's facts made us use."""
    bundle = build_bundle(folder)
    with AgentSession.open(SshTransport(server.pinned_target(python=sys.executable)), bundle) as session:
        has_aes = session.hello["has_aes"] is True
    cipher = FAST_CIPHER if has_aes else PLAIN_CIPHER
    transport = SshTransport(server.pinned_target(python=sys.executable, prefer_gcm=has_aes))
    times, path = Times(), folder / "artifact"
    data = bytearray(os.urandom(size_bytes))
    with AgentSession.open(transport, bundle) as session:
        fence = session.acquire_lease(_OWNER, _LEASE_S)
        for number in range(rounds):
            data[:8] = number.to_bytes(8, "little")  # a new file every round, or the agent would have it
            path.write_bytes(data)
            _one_round(server, session, path, fence, cipher, times)
        session.release_lease(fence)
    return cipher, times


def _one_round(server: Sshd, session: AgentSession, path: Path, fence: int, cipher: str, times: Times) -> None:
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    copy = server.folder / "copy"
    times.handshake_s.append(_sftp(server, ""))
    times.default_s.append(_sftp(server, f"put {path} {copy}"))
    times.same_cipher_s.append(_sftp(server, f"put {path} {copy}", "-c", cipher))
    copy.unlink()
    started_ns = time.monotonic_ns()
    session.put(path, sha256, fence)
    times.ours_s.append((time.monotonic_ns() - started_ns) / 1e9)
    times.again_bytes.append(session.put(path, sha256, fence))
    (server.home / ".cache/joulelab/blobs" / sha256).unlink()


def _sftp(server: Sshd, batch: str, *options: str) -> float:
    """Seconds of one sftp process with this batch."""
    target = server.target()
    command = [
        "sftp", "-q", "-b", "-", "-P", str(server.port), "-i", str(server.user_key), "-F", "none",
        "-o", f"UserKnownHostsFile={server.known_hosts}", "-o", "IdentitiesOnly=yes", *options,
        f"{target.user}@{target.host}",
    ]
    started_ns = time.monotonic_ns()
    subprocess.run(command, input=batch.encode(), check=True, capture_output=True)
    return (time.monotonic_ns() - started_ns) / 1e9


def rows_of(cipher: str, times: Times) -> list[Row]:
    """The table's rows: medians over the rounds, of times and of each round's own ratios."""
    note = f"ours: {cipher} and SHA-256; handshake of {statistics.median(times.handshake_s):.2f} s taken off sftp"
    again = max(times.again_bytes)
    return [
        _row("session.put ÷ sftp, default cipher", times, times.default_s, DEFAULT_LIMIT_RATIO, note),
        _row(f"session.put ÷ sftp -c {cipher}", times, times.same_cipher_s, SAME_CIPHER_LIMIT_RATIO, note),
        Row("the same file again", f"{again} bytes", "0 bytes", "-", "0 bytes", again == 0, "payload sent"),
    ]


def _row(what: str, times: Times, whole_s: list[float], limit_ratio: float, note: str) -> Row:
    handshake_s = statistics.median(times.handshake_s)
    reference_s = [round_s - handshake_s for round_s in whole_s]
    ours, reference = f"{statistics.median(times.ours_s):.3f} s", f"{statistics.median(reference_s):.3f} s"
    if min(reference_s) <= 0:
        return Row(what, ours, reference, "unknown", f"≤ {limit_ratio}", False, f"handshake varies too much; {note}")
    ratio = statistics.median(one_s / other_s for one_s, other_s in zip(times.ours_s, reference_s, strict=True))
    return Row(what, ours, reference, f"{ratio:.2f}", f"≤ {limit_ratio}", ratio <= limit_ratio, note)


def _absent() -> Row:
    return Row("session.put ÷ sftp", "-", "-", "unknown", f"≤ {DEFAULT_LIMIT_RATIO}", False, "sshd was not found")


if __name__ == "__main__":
    sys.exit(main())
