"""Looks at a running block from outside: its processes, its lock on the host, its recordings' headers."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from typing import Any, Callable, Dict, Optional

import pytest

from agents.host_lock import open_host_lock
from agents.wire.plan import BlockPlan
from tests.support.agent_process import AgentProcess, AgentRefused

GOVERNOR = "sys/devices/system/cpu/cpufreq/policy0/scaling_governor"
WAIT_S = 60.0


def until(condition: Callable[[], Any], what: str) -> Any:
    """Poll for something another process does; its value once it is true."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.005)
    raise TimeoutError(f"no {what} within {WAIT_S} s")


def worker_pid(agent: AgentProcess, plan: BlockPlan, other_than: Optional[int] = None) -> int:
    """The pid of the worker whose window is open now."""
    path = agent.home / "blocks" / plan.block_id / "worker.pid"

    def look() -> Optional[int]:
        try:
            pid = int(path.read_text())
        except FileNotFoundError:
            return None
        return pid if pid != other_than else None

    return int(until(look, "worker"))


def block_pid(agent: AgentProcess, plan: BlockPlan) -> int:
    """The pid of the process that measures the block."""
    path = agent.home / "blocks" / plan.block_id / "block.pid"
    return int(until(lambda: int(path.read_text()) if path.exists() else None, "block process"))


def is_running(pid: int) -> bool:
    """Is there such a process, and is it no zombie?"""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def host_is_free(folder: Path) -> bool:
    """Could the host's lock in that folder be taken now?"""
    descriptor = open_host_lock(folder)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def flags(header: Dict[str, Any]) -> Dict[str, Any]:
    """A recording's flags by code."""
    return {flag["code"]: flag for flag in header["flags"]}


def marks(header: Dict[str, Any]) -> Dict[str, int]:
    """A recording's marks by name, ns."""
    return {mark["name"]: mark["t_ns"] for mark in header["marks"]}


def refusal(work: Callable[[], Any]) -> AgentRefused:
    """What the agent answered to something it must refuse."""
    with pytest.raises(AgentRefused) as caught:
        work()
    return caught.value


def leased_on(start_agent: Callable[..., AgentProcess], root: Path, **options: Any) -> AgentProcess:
    """An agent over that root whose lease is held and which has one artifact for no_op."""
    agent = start_agent(root=root, **options)
    agent.acquire()
    agent.artifact = agent.put(b"artifact")
    return agent


def make_board(root: Path) -> Path:
    """A root with a governor, a temperature and a clock."""
    policy = root / "sys/devices/system/cpu/cpufreq/policy0"
    zone = root / "sys/class/thermal/thermal_zone0"
    policy.mkdir(parents=True)
    zone.mkdir(parents=True)
    for path, text in ((policy / "scaling_governor", "powersave"), (policy / "scaling_cur_freq", "1800000"),
                       (policy / "scaling_max_freq", "1800000"), (policy / "affected_cpus", "0"),
                       (policy / "related_cpus", "0"), (zone / "type", "soc"), (zone / "temp", "41000")):
        path.write_text(text)
    return root
