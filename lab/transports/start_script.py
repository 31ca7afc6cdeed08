"""What runs on the device before the agent: find a Python, check it and the agent's folder, become the agent.

Status lines go to stdout as `TOKEN word {json}`; words: none, old, home, need, hash, start. The script is data
here, not a module: it must be read by Python 2.7 as well, or it could not say that a Python is too old.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
from dataclasses import dataclass, field

from lab.errors import ConfigError

from .base import AgentBundle

PYTHON_MIN = "3.9"
PYTHONS = ("python3", *(f"python3.{minor}" for minor in range(14, 8, -1)))
"""Names to look for when none is configured, in this order."""

_BOOT = "import sys,base64;exec(base64.b64decode(sys.argv[1]))"
_FLAGS = ("-S", "-E", "-u", "-c", _BOOT)
_PYTHON_NAME = re.compile(r"[A-Za-z0-9_~./+@:, -]+")

# Decodes and runs STAGE0 because csh allows no newline inside quotes; argv: code, request, python, other pythons.
STAGE0 = r'''
import base64, hashlib, json, os, sys
flags, code, request = sys.argv[0], sys.argv[1], sys.argv[2]
ask = json.loads(base64.b64decode(request).decode("ascii"))

def say(word, **facts):
    line = "\n%s %s %s\n" % (ask["token"], word, json.dumps(facts))
    os.write(1, line.encode("ascii"))

def digest(name):
    try:
        with open(name, "rb") as file:
            return hashlib.sha256(file.read()).hexdigest()
    except (IOError, OSError):
        return None

def receive(size):
    data = b""
    while len(data) < size:
        part = os.read(0, min(65536, size - len(data)))
        if not part:
            sys.exit(1)
        data += part
    return data

def save(name, data):
    temporary = "%s.%d" % (name, os.getpid())
    file = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        while data:
            data = data[os.write(file, data):]
        os.fsync(file)
    finally:
        os.close(file)
    os.rename(temporary, name)

me = sys.executable or sys.argv[3]
version = ".".join(str(part) for part in sys.version_info[:3])
others = sys.argv[4:]
if sys.version_info < (3, 9):
    while others:
        other = others.pop(0)
        try:
            os.execvp(other, [other, "-S", "-E", "-u", "-c", ask["boot"], code, request, other] + others)
        except OSError:
            pass
    say("old", python=version, path=me)
    sys.exit(1)
home = os.path.join(os.path.expanduser("~"), ask["home"])
agent = os.path.join(home, "agent-%s.pyz" % ask["sha256"])
try:
    if not os.path.isdir(home):
        os.makedirs(home, 0o700)
    probe = os.path.join(home, ".writable.%d" % os.getpid())
    os.close(os.open(probe, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    os.unlink(probe)
    if digest(agent) != ask["sha256"]:
        say("need")
        data = receive(ask["size"])
        if hashlib.sha256(data).hexdigest() != ask["sha256"]:
            say("hash")
            sys.exit(1)
        save(agent, data)
except OSError as error:
    say("home", path=home, error=str(error))
    sys.exit(1)
say("start", python=version, path=me)
os.execv(me, [me, "-S", "-E", "-u", agent, "serve", "--token", ask["agent_token"], "--home", home] + ask["more"])
'''

# $1 status token, $2 code, $3 request, then the Pythons to try; stage 0 gets those after the one found.
_SHELL = (
    't=$1;c=$2;r=$3;shift 3;while test $# -gt 0;do p=$1;shift;'
    'case $p in "~/"*)p=$HOME/${p#"~/"};;esac;'
    f'if command -v "$p" >/dev/null 2>&1;then exec "$p" -S -E -u -c "{_BOOT}" "$c" "$r" "$p" "$@";fi;'
    'done;echo;echo "$t none {}"'
)


def _token() -> str:
    return secrets.token_hex(16)


@dataclass(frozen=True, kw_only=True)
class AgentStart:
    """One start of one agent: which bundle, in which folder, and the tokens that announce it.

    `home` is absolute or relative to the user's home on the device, `python` a name or path there or None for the
    usual names; `more` are further arguments for `serve`.
    """

    bundle: AgentBundle
    home: str
    python: str | None = None
    more: tuple[str, ...] = ()
    status_token: str = field(default_factory=_token)
    agent_token: str = field(default_factory=_token)

    @property
    def pythons(self) -> tuple[str, ...]:
        """What to try, in this order."""
        return PYTHONS if self.python is None else (self.python,)

    def arguments(self) -> list[str]:
        """Argument list that runs stage 0 under the first Python, without any shell."""
        first, *others = self.pythons
        return [first, *_FLAGS, _encoded(STAGE0.strip()), self._request(), first, *others]

    def shell_line(self) -> str:
        """One line that sh, ash, csh and fish read alike; raises ConfigError for a Python that cannot be quoted."""
        for name in self.pythons:
            if not _PYTHON_NAME.fullmatch(name):
                raise ConfigError(f"python {name!r}: expected a name or a path of letters, digits and ./_+-@~")
        words = [self.status_token, _encoded(STAGE0.strip()), self._request(), *self.pythons]
        return "exec /bin/sh -c '" + _SHELL + "' joulelab " + " ".join(f"'{word}'" for word in words)

    def _request(self) -> str:
        home = self.home[2:] if self.home.startswith("~/") else self.home
        return _encoded(json.dumps({
            "token": self.status_token, "agent_token": self.agent_token, "sha256": self.bundle.sha256,
            "size": self.bundle.path.stat().st_size, "home": home, "more": self.more, "boot": _BOOT,
        }))


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
