"""Device state for a block: remember what was set, set what is asked, verify, and put it back.

What was there before is written to a journal before anything is changed, so that a killed block's changes are
undone when the agent next starts. After a reboot the kernel has already forgotten them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Sequence, Tuple

from agents.flags import DEGRADED, Flag, flag
from agents.home import read_json, write_json

CONTROLS: Dict[str, str] = {"governor": "scaling_governor", "scaling_max_freq_khz": "scaling_max_freq"}
"""Control name → file in each policy folder of cpufreq (kernel: Documentation/admin-guide/pm/cpufreq.rst)."""

_FOLDERS = ("sys/devices/system/cpu/cpufreq/policy[0-9]*", "sys/devices/system/cpu/cpu[0-9]*/cpufreq")
_VALUE_MAX = 4096  # a page, the most that a sysfs attribute holds
_PREFIX = "sys/devices/system/cpu/"


class StateKeeper:
    """Sets named controls under `root` and restores them; `journal` is its memory across crashes."""

    def __init__(self, root: Path, journal: Path, boot_id: str) -> None:
        self._root = root
        self._journal = journal
        self._boot_id = boot_id

    def apply(self, wanted: Sequence[Tuple[str, str]]) -> List[Flag]:
        """Set each (control, value); one flag `state_not_set` for each that did not take. Raises OSError only
        if the journal cannot be written, and then nothing has been changed."""
        flags: List[Flag] = []
        targets: List[Tuple[str, Path, str]] = []
        for name, value in wanted:
            paths = self._files(name)
            if not paths:
                flags.append(_not_set(name, value, _why_unknown(name)))
            targets += [(name, path, value) for path in paths]
        self._remember([path for _, path, _ in targets])
        failed: Dict[Tuple[str, str], str] = {}
        for name, path, value in targets:
            problem = _set(path, value)
            if problem:
                failed.setdefault((name, value), f"{self._relative(path)}: {problem}")
        return flags + [_not_set(name, value, problem) for (name, value), problem in failed.items()]

    def restore(self) -> List[str]:
        """Undo what the journal holds; says what could not be put back. Does nothing without a journal."""
        data: Any = read_json(self._journal)
        problems = []
        if isinstance(data, dict) and data.get("boot_id") == self._boot_id and data.get("root") == str(self._root):
            for relative, value in reversed(data.get("before", [])):
                if self._is_control(relative):
                    problem = _set(self._root / relative, value)
                    if problem:
                        problems.append(f"{relative} could not be set back to {value!r}: {problem}")
        self._journal.unlink(missing_ok=True)
        return problems

    def _files(self, name: str) -> List[Path]:
        if name not in CONTROLS:
            return []
        for folders in _FOLDERS:
            paths = sorted(folder / CONTROLS[name] for folder in self._root.glob(folders))
            found = [path for path in paths if path.exists()]
            if found:
                return found
        return []

    def _remember(self, paths: Sequence[Path]) -> None:
        before = []
        for path in paths:
            value, problem = _get(path)
            if not problem:
                before.append([self._relative(path), value])
        if before:
            write_json(self._journal, {"boot_id": self._boot_id, "root": str(self._root), "before": before})

    def _relative(self, path: Path) -> str:
        return str(path.relative_to(self._root))

    def _is_control(self, relative: str) -> bool:
        parts = Path(relative).parts
        return relative.startswith(_PREFIX) and ".." not in parts and parts[-1] in CONTROLS.values()


def _set(path: Path, value: str) -> str:
    """Write and read back; the problem, or an empty text."""
    try:
        path.write_bytes(value.encode("ascii"))
    except (OSError, UnicodeEncodeError) as error:
        return f"writing {value!r} failed: {_reason(error)}"
    found, problem = _get(path)
    if problem:
        return problem
    return "" if found == value else f"wrote {value!r}, reads {found!r}"


def _get(path: Path) -> Tuple[str, str]:
    try:
        with path.open(encoding="ascii") as file:
            return file.read(_VALUE_MAX).strip(), ""
    except (OSError, UnicodeDecodeError) as error:
        return "", f"reading failed: {_reason(error)}"


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _why_unknown(name: str) -> str:
    if name in CONTROLS:
        return "this device has no such control"
    return f"this agent knows only {', '.join(sorted(CONTROLS))}"


def _not_set(name: str, value: str, problem: str) -> Flag:
    return flag("state_not_set", DEGRADED, f"{name} = {value}: {problem}")
