"""What this device can run and read, found in a process of its own: a library that crashes on import is a fact."""

from __future__ import annotations

import json
import os
import site
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, Optional, Sequence

from agents.children import command
from agents.errors import Refused
from agents.probe_set import open_probes
from agents.probes import PROBES
from agents.runtimes import RUNTIMES
from agents.runtimes.base import RuntimeRefused
from agents.worker import load_runtime

TIMEOUT_S = 60.0

Fact = Dict[str, Any]


def find_facts(root: Path) -> Iterator[Fact]:
    """Small objects, one per finding; runtimes last, since one may take the process with it."""
    yield {"folders": folder_times([*sys.path, site.getusersitepackages()])}
    opened, missing = open_probes(tuple(PROBES), root)
    for probe in opened:
        for channel in probe.channels:
            yield {"channel": {"probe": probe.name, "rail": channel.rail, "quantity": channel.quantity,
                               "kind": channel.kind}}
    for absent in missing:
        yield {"unavailable": {"probe": absent.name, "code": absent.code, "reason": absent.reason}}
    for name in sorted(RUNTIMES):
        yield _find_runtime(name)


def _find_runtime(name: str) -> Fact:
    try:
        return {"runtime": {name: load_runtime(name).version()}}
    except (RuntimeRefused, ImportError) as error:
        return {"runtime_missing": {name: str(error)}}


def write_facts(root: Path) -> int:
    """Print the findings, one JSON object a line, each flushed; `worker --facts`."""
    for fact in find_facts(root):
        sys.stdout.write(json.dumps(fact) + "\n")
        sys.stdout.flush()
    return 0


def folder_times(folders: Iterable[str]) -> Dict[str, Optional[int]]:
    """When each folder last gained or lost an entry (st_mtime_ns), None for one that is not there."""
    return {folder: _changed_ns(folder) for folder in folders}


def _changed_ns(folder: str) -> Optional[int]:
    try:
        return os.stat(folder).st_mtime_ns
    except OSError:
        return None


def gather_facts(root: Path, keep_fds: Sequence[int] = (), timeout_s: float = TIMEOUT_S) -> Fact:
    """Run a worker for the findings and join them; raises Refused where not even the probes were reported.

    `keep_fds` stay open in the worker: a lock among them is held until it ends, even if this process is killed.
    """
    line = command("worker", "--facts", "--root", str(root))
    try:
        done = subprocess.run(line, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout_s, check=False,
                              start_new_session=True, pass_fds=keep_fds)
        output, ending = done.stdout, f"ended with status {done.returncode}: {_last_line(done.stderr)}"
    except subprocess.TimeoutExpired as error:
        output, ending = error.stdout or b"", f"did not end within {timeout_s:.0f} s"
    return join_facts(_parse(output), ending)


def join_facts(findings: List[Fact], ending: str) -> Fact:
    """The answer to op `facts`, and `folders`: where modules come from and when those changed.

    `ending` says how the process ended, for what it did not get to report.
    """
    facts: Dict[str, Any] = {"runtimes": {}, "runtimes_missing": {}, "channels": [], "unavailable": [], "folders": {}}
    for finding in findings:
        facts["folders"].update(finding.get("folders", {}))
        facts["runtimes"].update(finding.get("runtime", {}))
        facts["runtimes_missing"].update(finding.get("runtime_missing", {}))
        facts["channels"] += [finding["channel"]] if "channel" in finding else []
        facts["unavailable"] += [finding["unavailable"]] if "unavailable" in finding else []
    if not findings:
        raise Refused("facts_failed", f"the process that looks for runtimes and probes {ending}")
    for name in set(RUNTIMES) - set(facts["runtimes"]) - set(facts["runtimes_missing"]):
        facts["runtimes_missing"][name] = f"not reported: the process that looked for it {ending}"
    return facts


def _parse(output: bytes) -> List[Fact]:
    findings = []
    for line in output.splitlines():
        try:
            finding = json.loads(line)
        except ValueError:
            continue  # something a library printed
        if isinstance(finding, dict):
            findings.append(finding)
    return findings


def _last_line(text: bytes) -> str:
    lines = text.decode("utf-8", "replace").strip().splitlines()
    return lines[-1][:500] if lines else "it said nothing"
