"""What follows a failure, decided without touching anything: which rung of the ladder, after how long a pause.

Failures travel from worker to controller as plain JSON, so that both ends may run on different machines.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from lab import errors
from lab.domain.untrusted import clean_text
from lab.errors import DiskFull, LabError, ProtocolMismatch
from lab.store.durable import disk_error, is_disk_full

Rung: TypeAlias = Literal["retry", "reboot", "power_cycle", "quarantine", "give_up"]

BACKOFF_MIN_S = 2.0
BACKOFF_MAX_S = 300.0
TEXT_CAP = 4_000
NOTES_MAX = 8

_JITTER = 0.2
_DOUBLINGS_MAX = 16


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One failure as it crossed the queue: `kind` is the error's class name, `transient` whether a retry can help."""

    kind: str
    transient: bool
    text: str
    notes: tuple[str, ...] = ()

    def as_error(self) -> LabError:
        """The failure as an error of its own kind, or a plain LabError naming a kind that this version lacks."""
        cls = getattr(errors, self.kind, None)
        if isinstance(cls, type) and issubclass(cls, LabError):
            error: LabError = cls(self.text)
        else:
            error = LabError(f"{self.kind}: {self.text}")
        error.transient = self.transient
        for note in self.notes:
            error.add_note(note)
        return error


def next_rung(failures: int, *, transient: bool, can_reboot: bool, can_power_cycle: bool, limit: int = 3) -> Rung:
    """What follows the device's `failures`-th failure in a row.

    Below `limit` it is tried again; from there on one reboot, then one power cycle, as far as the device has them,
    then quarantine. A failure that a retry cannot help is no fault of the device's connection: its cells are given
    up with the reason, and the device stays in use. Raises ValueError for less than one failure or a limit below one.
    """
    if failures < 1 or limit < 1:
        raise ValueError(f"the ladder starts at failure 1 with a limit of at least 1; got {failures} and {limit}")
    if not transient:
        return "give_up"
    if failures < limit:
        return "retry"
    rungs: tuple[tuple[bool, Rung], ...] = ((can_reboot, "reboot"), (can_power_cycle, "power_cycle"),
                                            (True, "quarantine"))
    rest = [rung for is_possible, rung in rungs if is_possible]
    return rest[min(failures - limit, len(rest) - 1)]


def backoff_s(failures: int, *, seed: str) -> float:
    """Seconds to wait after the `failures`-th failure: doubling, ± 20 %, never outside 2 to 300.

    The jitter depends on `seed` and `failures` alone, so a crash and a replay wait equally long, while devices that
    failed together (a switch, a router) do not come back together. Raises ValueError for less than one failure.
    """
    if failures < 1:
        raise ValueError(f"a pause follows failure 1 or a later one, got {failures}")
    low_s, high_s = BACKOFF_MIN_S / (1 - _JITTER), BACKOFF_MAX_S / (1 + _JITTER)
    middle_s: float = min(low_s * 2.0 ** min(failures - 1, _DOUBLINGS_MAX), high_s)
    digest = hashlib.sha256(f"{seed} {failures}".encode("utf-8", "surrogatepass")).digest()
    share = int.from_bytes(digest[:6]) / (2 ** 48 - 1)
    return min(max(middle_s * (1 - _JITTER + 2 * _JITTER * share), BACKOFF_MIN_S), BACKOFF_MAX_S)


def error_outcome(error: BaseException) -> dict[str, Any]:
    """An error as JSON: kind, whether a retry can help, text and notes, cleaned and capped.

    One that comes from a full disk is told as DiskFull, wherever it was met.
    """
    notes = getattr(error, "__notes__", ())
    if is_disk_full(error) and not isinstance(error, DiskFull):
        error = disk_error(str(error), error)
    return {
        "kind": type(error).__name__,
        "transient": isinstance(error, LabError) and error.transient,
        "text": _clean(str(error)) or type(error).__name__,
        "notes": [_clean(str(note)) for note in notes][:NOTES_MAX],
    }


def outcome_from_json(data: object) -> Outcome:
    """The failure that a worker sent; raises ProtocolMismatch if it is none."""
    if not isinstance(data, dict):
        raise _mismatch("an object", data)
    kind, transient, text, notes = (data.get(key) for key in ("kind", "transient", "text", "notes"))
    if not isinstance(kind, str) or not kind.isidentifier():
        raise _mismatch("the name of an error as `kind`", kind)
    if not isinstance(transient, bool):
        raise _mismatch("true or false as `transient`", transient)
    if not isinstance(text, str):
        raise _mismatch("a text as `text`", text)
    if not isinstance(notes, list | tuple) or not all(isinstance(note, str) for note in notes):
        raise _mismatch("a list of texts as `notes`", notes)
    return Outcome(kind=kind, transient=transient, text=_clean(text) or kind,
                   notes=tuple(map(_clean, notes[:NOTES_MAX])))


def _clean(text: str) -> str:
    """Printable lines without terminal escapes; the end of a text that is too long is cut."""
    lines = (clean_text(line, TEXT_CAP) for line in text[:TEXT_CAP].splitlines())
    return "\n".join(line for line in lines if line)


def _mismatch(expected: str, got: object) -> ProtocolMismatch:
    return ProtocolMismatch(f"a worker reported a failure that cannot be read: expected {expected}, got "
                            f"{clean_text(repr(got), 80)}; start the worker with the controller's version of the lab")
