"""A real OpenSSH server: own host keys, own configuration, own authorized key, as the current user.

On loopback, or with an `address` and a `prefix` at one of the sites of tests/support/netns.py.
"""

import base64
import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from lab.transports.known_hosts import HostKey, pin
from lab.transports.ssh import SshTarget, fetch_host_key

SSHD = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/sbin:" + os.environ.get("PATH", ""))
KEYGEN = shutil.which("ssh-keygen")
AVAILABLE = bool(SSHD and KEYGEN)
SFTP_SERVER = next(
    (path for path in ("/usr/lib/openssh/sftp-server", "/usr/libexec/openssh/sftp-server", "/usr/lib/ssh/sftp-server")
     if Path(path).exists()), "internal-sftp")
"""What distributions configure; OpenSSH's built-in one where there is none."""

_PRIVILEGE_SEPARATION = Path("/run/sshd")
_START_S = 10.0


def make_key(path, kind="ed25519", passphrase=""):
    """A key pair at `path` and `path.pub`."""
    subprocess.run([KEYGEN, "-q", "-t", kind, "-N", passphrase, "-C", "", "-f", str(path)], check=True)
    return path


def free_port():
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def listens(address, port, prefix=()):
    """Whether something accepts connections there; with `prefix`, as seen from that network namespace."""
    if prefix:
        probe = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 1).close()"
        return subprocess.run([*prefix, sys.executable, "-c", probe, address, str(port)], stderr=subprocess.DEVNULL,
                              check=False).returncode == 0
    with socket.socket() as probe:
        return probe.connect_ex((address, port)) == 0


class Sshd:
    """A context manager; `environment` is what sessions see, so HOME and PATH decide what kind of host this is.

    `prefix` stands before its command: `Sites.prefix(site)` starts it there, listening on that site's `address`.
    """

    def __init__(self, folder, *, environment=None, key_types=("ed25519",), options=(), address="127.0.0.1",
                 prefix=()):
        self.folder = Path(folder)
        self.home = self.folder / "home"
        self.home.mkdir(parents=True, exist_ok=True)
        self.user_key = self.folder / "user_key"
        self.known_hosts = self.folder / "known_hosts"
        self.address = address
        self.port = free_port()
        self._prefix = list(prefix)
        self._environment = {"HOME": str(self.home), **(environment or {})}
        self._key_types = key_types
        self._options = options
        self._process = None

    def __enter__(self):
        make_key(self.user_key)
        shutil.copy(f"{self.user_key}.pub", self.folder / "authorized_keys")
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self):
        for kind in self._key_types:
            if not (self.folder / f"host_{kind}").exists():
                make_key(self.folder / f"host_{kind}", kind)
        if os.geteuid() == 0:
            _PRIVILEGE_SEPARATION.mkdir(mode=0o755, exist_ok=True)
        (self.folder / "sshd_config").write_text(self._config())
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*self._prefix, SSHD, "-D", "-e", "-f", str(self.folder / "sshd_config")], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log)
        self._wait_until_it_listens()

    def stop(self):
        """The listener ends; sessions end with their clients."""
        self._process.terminate()
        self._process.wait(10)

    def kill_sessions(self):
        """Kill the server's process of every open session."""
        pid = self._process.pid
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            os.kill(int(child), signal.SIGKILL)

    def replace_host_key(self, *key_types):
        """The same address, a host with other keys."""
        self.stop()
        for kind in self._key_types:
            for suffix in ("", ".pub"):
                (self.folder / f"host_{kind}{suffix}").unlink()
        self._key_types = key_types or self._key_types
        self.start()

    def target(self, **changes):
        """How to reach it, deaf to the machine's own SSH configuration and keys."""
        plain = SshTarget(
            self.address, getpass.getuser(), self.port, known_hosts=self.known_hosts, identity_files=(self.user_key,),
            config_file=None, user_known_hosts=None, default_keys=(), use_agent=False)
        return replace(plain, **changes)

    def pinned_target(self, **changes):
        """The same, its host key pinned; read from its file where a `prefix` keeps this process from asking."""
        if self._prefix:
            kind, blob = (self.folder / f"host_{self._key_types[0]}.pub").read_text().split()[:2]
            key = HostKey.from_blob(kind, base64.b64decode(blob))
        else:
            key = fetch_host_key(self.target())
        pin(self.known_hosts, self.address, self.port, key)
        return self.target(**changes)

    def log(self):
        return (self.folder / "log").read_text()

    def _config(self):
        environment = " ".join(f'"{name}={value}"' for name, value in self._environment.items())
        lines = [
            *self._options, f"Port {self.port}", f"ListenAddress {self.address}", "PidFile none", "UsePAM no",
            "StrictModes no", f"AuthorizedKeysFile {self.folder}/authorized_keys", "PasswordAuthentication no",
            "KbdInteractiveAuthentication no", "PermitRootLogin prohibit-password", "LogLevel VERBOSE",
            "MaxStartups 100", f"SetEnv {environment}", f"Subsystem sftp {SFTP_SERVER}",
            *(f"HostKey {self.folder}/host_{kind}" for kind in self._key_types),
        ]
        return "\n".join(lines) + "\n"

    def _wait_until_it_listens(self):
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise RuntimeError(f"sshd ended at once: {self.log()}")
            if listens(self.address, self.port, self._prefix):
                return
            time.sleep(0.02)
        raise RuntimeError(f"sshd does not listen: {self.log()}")


