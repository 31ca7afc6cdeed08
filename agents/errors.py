"""The agent's one error: what it answers when it will not or cannot do what was asked."""

from __future__ import annotations

import errno
from typing import Any, Dict

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT}
_READ_ONLY = {errno.EROFS, errno.EACCES, errno.EPERM}


class Refused(Exception):
    """An answer of type ERR: `code` for the machine, text for people, `extra` for more header fields."""

    def __init__(self, code: str, message: str, *, retryable: bool = False, **extra: Any) -> None:
        super().__init__(message)
        self.code = code
        self.retryable = retryable
        self.extra = extra

    def header(self) -> Dict[str, Any]:
        """The header of the ERR message."""
        return {"code": self.code, "message": str(self)[:2000], "retryable": self.retryable, **self.extra}


def refused_by_system(error: OSError) -> Refused:
    """What the operating system's refusal means for the other end: no_space, read_only or os_error."""
    where = f" on {error.filename}" if error.filename else ""
    text = f"{error.strerror or error}{where}"
    if error.errno in _NO_SPACE:
        return Refused("no_space", f"no space left on the device: {text}; free some, or choose another agent home")
    if error.errno in _READ_ONLY:
        return Refused("read_only", f"the agent may not write: {text}; choose an agent home this user can write")
    return Refused("os_error", f"the device's system refused: {text}")
