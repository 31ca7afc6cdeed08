"""What every operation has in hand, how it answers, and how it reads a request's untrusted fields."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, NamedTuple, Optional, Pattern, Tuple, Union

from agents.background import Background
from agents.blobs import BlobStore, Upload
from agents.block_control import Blocks
from agents.errors import Refused
from agents.home import AgentHome
from agents.lease import LeaseFile
from agents.spool import Spool

Header = Dict[str, Any]
SHA256 = re.compile(r"[0-9a-f]{64}")
BLOCK_ID = re.compile(r"[0-9a-zA-Z][0-9a-zA-Z_.-]{0,127}")
MAX_INTEGER = 2**62


class Services(NamedTuple):
    """What the agent can do; `uploads` are those open in this session, by hash."""

    home: AgentHome
    root: Path
    lease: LeaseFile
    blobs: BlobStore
    spool: Spool
    blocks: Blocks
    background: Background
    uploads: Dict[str, Upload]

    def check_fence(self, request: Header) -> int:
        """The request's fence; raises Refused (fenced) unless it belongs to the present lease."""
        fence = whole(request, "fence")
        self.lease.check(fence)
        return fence


class Stream(NamedTuple):
    """An answer that comes as DATA (header, body) one after the other, then `last` as RES."""

    chunks: Iterator[Tuple[Header, bytes]]
    last: Header


class Later(NamedTuple):
    """An answer to come: `poll` is asked whenever something has ended, `at_deadline` once that instant passes."""

    poll: Callable[[], Optional[Header]]
    deadline_ns: int
    at_deadline: Callable[[], "Answer"]


Answer = Union[Header, Stream, Later]
Operation = Callable[[Services, Header], Answer]


def text(request: Header, name: str, pattern: Optional[Pattern[str]] = None, limit: int = 200) -> str:
    """A text field; raises Refused (bad_request)."""
    value = request.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= limit or (pattern and not pattern.fullmatch(value)):
        raise bad_request(name, f"a text of the form {pattern.pattern}" if pattern else "a text", value)
    return value


def whole(request: Header, name: str, maximum: int = MAX_INTEGER) -> int:
    """A whole number from 0; raises Refused (bad_request)."""
    value = request.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= maximum:
        raise bad_request(name, f"a whole number from 0 to {maximum}", value)
    return value


def number(request: Header, name: str, maximum: float) -> float:
    """A number from 0; raises Refused (bad_request)."""
    value = request.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= maximum:
        raise bad_request(name, f"a number from 0 to {maximum}", value)
    return float(value)


def bad_request(name: str, expected: str, value: Any) -> Refused:
    """The refusal of one field."""
    return Refused("bad_request", f"{name}: expected {expected}, got {value!r:.200}")
