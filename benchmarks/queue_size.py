"""A campaign of many cells: how long until it is queued and planned, and what the controller then needs to wait."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.controller_process import controller, cpu_ratio, rss_peak_mib
from benchmarks.table import Row
from lab import wiring
from lab.domain.campaign import PROTOCOLS, Campaign, Settings, StepSpec, Technique
from lab.domain.device import Device
from lab.wiring import queue
from tests.support.campaigns import write_pair

SUBMIT_LIMIT_S = 30.0
RSS_LIMIT_MIB = 300.0
IDLE_LIMIT_RATIO = 0.05
AWAY = "nobody"
"""The agent host whose worker does not run, so that nothing of the campaign can go on once it is planned."""

_PLAN_TIMEOUT_S = 900.0
_START_TIMEOUT_S = 60.0
_SETTLE_S = 3.0


@dataclass(frozen=True, kw_only=True)
class Size:
    """Devices times cells on each; at least two cells, the first of each setting is the baseline."""

    devices: int
    techniques: int
    settings: int

    @property
    def cells(self) -> int:
        """Of the whole campaign."""
        return self.devices * self.techniques * self.settings


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """What was seen of one controller; seconds, cells, MiB, and processor seconds per second."""

    submit_s: float
    planned_s: float
    cells: int
    rss_peak_mib: float
    rss_empty_mib: float
    idle_ratio: float
    idle_empty_ratio: float


FULL = Size(devices=100, techniques=10, settings=10)
QUICK = Size(devices=20, techniques=5, settings=5)


def size_rows(folder: Path, size: Size, idle_s: float, where: str) -> list[Row]:
    """Three rows; the reference is the same controller before the campaign came."""
    seen = watch(folder, size, idle_s)
    total_s = seen.submit_s + seen.planned_s
    what = f"{seen.cells} cells on {size.devices} devices, {where}"
    is_whole = seen.cells == size.cells
    return [
        Row(f"submitted and planned: {what}", f"{total_s:.1f} s", "-", "-", f"≤ {SUBMIT_LIMIT_S:g} s",
            is_whole and total_s <= SUBMIT_LIMIT_S,
            f"submit {seen.submit_s:.2f} s, planned by the controller {seen.planned_s:.1f} s"
            + ("" if is_whole else f"; {size.cells} cells were expected")),
        Row(f"controller's memory: {what}", f"{seen.rss_peak_mib:.0f} MiB", f"{seen.rss_empty_mib:.0f} MiB",
            f"{seen.rss_peak_mib / seen.rss_empty_mib:.2f}", f"≤ {RSS_LIMIT_MIB:g} MiB",
            is_whole and seen.rss_peak_mib <= RSS_LIMIT_MIB, "highest RSS; reference: before the campaign came"),
        Row(f"controller's idle CPU: {what}", f"{100 * seen.idle_ratio:.1f} %", f"{100 * seen.idle_empty_ratio:.1f} %",
            f"{seen.idle_ratio / max(seen.idle_empty_ratio, 1e-3):.2f}", f"≤ {100 * IDLE_LIMIT_RATIO:g} % of a core",
            is_whole and seen.idle_ratio <= IDLE_LIMIT_RATIO,
            f"over {idle_s:g} s with nothing to do; reference: with an empty queue"),
    ]


def watch(folder: Path, size: Size, idle_s: float) -> Waiting:
    """Start a controller, see it idle, give it the campaign, see it idle again."""
    home = folder / "home"
    with wiring.open_services(home=home) as services:
        campaign = campaign_of(size, write_pair(folder / "pair"))
        for name in campaign.devices:
            services.store.save_device(Device(name=name, url="virtual:virtual-pi4", profile="virtual-pi4",
                                              agent_host=AWAY))
        with queue.open_engine(services) as engine, controller(home) as pid:
            _until(lambda: bool(engine.workers()), "the controller does not work", _START_TIMEOUT_S)
            time.sleep(_SETTLE_S)
            idle_empty_ratio, rss_empty_mib = cpu_ratio(pid, idle_s), rss_peak_mib(pid)
            begun_s = time.monotonic()
            campaign_id = engine.submit(campaign)
            submitted_s = time.monotonic()
            _until(lambda: sum(name == "contact" for _, name, _ in engine.live(campaign_id)) == size.devices,
                   "the campaign is not planned")
            planned_s = time.monotonic()
            time.sleep(_SETTLE_S)
            return Waiting(
                submit_s=submitted_s - begun_s, planned_s=planned_s - submitted_s,
                cells=engine.progress(campaign_id).cells_total, rss_empty_mib=rss_empty_mib,
                idle_empty_ratio=idle_empty_ratio, idle_ratio=cpu_ratio(pid, idle_s), rss_peak_mib=rss_peak_mib(pid))


def campaign_of(size: Size, workload: str) -> Campaign:
    """Techniques that differ in a parameter, settings that differ in their batch."""
    candidates = [Technique(name=f"int8-{number}", steps=(
        StepSpec(name="quantize_static", params=(("percentile", 99.0 + number / 100),)),))
        for number in range(1, size.techniques)]
    return Campaign(
        name="many cells", owner="benchmarks", workload=workload, techniques=(Technique(name="baseline"), *candidates),
        seeds=(0,), devices=tuple(f"virtual-{number:03d}" for number in range(size.devices)),
        settings=tuple(Settings(batch=batch) for batch in range(1, size.settings + 1)),
        protocol=replace(PROTOCOLS["quick"], order_seed=1))


def _until(condition: Callable[[], bool], what: str, timeout_s: float = _PLAN_TIMEOUT_S) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"{what} after {timeout_s:g} s")
        time.sleep(0.1)
