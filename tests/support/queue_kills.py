"""Random kills over a bench of queue processes, and the look afterwards: nothing lost, doubled or overlapping."""

import itertools
import random
import sqlite3
import time
from contextlib import closing
from dataclasses import replace

from lab import wiring
from lab.campaigns.host_spool import HostSpool
from lab.domain.device import Device
from lab.wiring import queue
from tests.support.campaigns import FAST, INT8, INT8_CHANNELS, real_services, small_campaign, write_pair
from tests.support.queue_processes import Bench

DEVICES = {"board-a": "a", "board-b": "b"}
"""Local devices and the agent host that reaches each."""

LONG = replace(FAST, blocks_min=4, blocks_max=4)
OVER = ("done", "partial", "failed", "cancelled")
_PAUSE_S = (0.2, 2.5)
_END_S = 240.0


def kill_about(bench, workload, *, kills, seed):
    """Campaign after campaign under random kills until there were `kills`; returns the ids of the campaigns.

    Each ends by itself, and the last one is left in peace once all kills are done.
    """
    chance = random.Random(seed)
    print(f"random kills with seed {seed}")  # noqa: T201 pytest shows it where a test fails
    killed = 0
    campaign_ids = []
    with real_services(bench.home) as services:
        register(services)
        while killed < kills:
            campaign_id = submit(services, workload, f"kills-{len(campaign_ids)}")
            campaign_ids.append(campaign_id)
            deadline = time.monotonic() + _END_S
            while not (state := is_over(services.store, campaign_id)) and time.monotonic() < deadline:
                time.sleep(chance.uniform(*_PAUSE_S))
                if killed < kills and not is_over(services.store, campaign_id):
                    name = chance.choice(sorted(bench.processes))
                    killed += bench.processes[name].kill()
                    bench.processes[name].start()
            assert state, f"the campaign does not end: {services.store.cell_states(campaign_id)}"
    return campaign_ids


def survive(folder, *, kills, seed=None, **bench):
    """A bench of processes under random kills, and the look at every campaign; prints the seed, and logs on failure."""
    seed = random.SystemRandom().randrange(1_000_000) if seed is None else seed
    with Bench(folder, **bench) as running:
        try:
            for campaign_id in kill_about(running, write_pair(folder / "pair"), kills=kills, seed=seed):
                check_whole(running, campaign_id)
        except BaseException:
            print(running.said())  # noqa: T201 pytest shows it where a test fails
            raise


def register(services):
    """The bench's devices; they answer once their workers work."""
    for name, host in DEVICES.items():
        services.store.save_device(Device(name=name, url="local", profile="x86-host", agent_host=host))


def submit(services, workload, name):
    """Put a campaign for all devices into the queue; its seed number makes it new."""
    campaign = small_campaign(workload, INT8, INT8_CHANNELS, devices=DEVICES, name=name,
                              protocol=replace(LONG, order_seed=int(name.rpartition("-")[2])))
    with queue.open_engine(services) as engine:
        return engine.submit(campaign, "")


def is_over(store, campaign_id):
    """Whether it has ended, well or not."""
    return store.campaign(campaign_id).state in OVER


def check_whole(bench, campaign_id, blocks=LONG.blocks_min):
    """Every cell done, every block once, no two blocks of a device at a time, nothing left lying about."""
    with wiring.open_store(bench.home) as store:
        assert store.campaign(campaign_id).state == "done", store.events(campaign_id)
        cells = store.cells(campaign_id)
        for cell in cells:
            numbers = [block.number for block in store.cell_blocks(cell.id)]
            assert numbers == list(range(1, blocks + 1)), (cell.technique.name, cell.device, numbers)
        attempts = store.attempts(campaign_id)
        assert {attempt.state for attempt in attempts} == {"done"}
        assert [attempt.attempt for attempt in attempts] == [1] * len(attempts)
        for device in {cell.device for cell in cells}:
            check_apart(device, spans(store, [cell.id for cell in cells if cell.device == device]))
        check_nothing_left(bench, {attempt.block_id for attempt in attempts if attempt.state == "done"})


def spans(store, cell_ids):
    """(first instant, last instant, block) of every block, by the device's own clock."""
    found = {}
    for cell_id in cell_ids:
        for block in store.cell_blocks(cell_id):
            for window in (block.window, *block.idles):
                found.setdefault(block.block_id, []).extend(mark.t_ns for mark in window.marks)
    return sorted((min(instants), max(instants), block_id) for block_id, instants in found.items())


def check_apart(device, found):
    """One block ends before the next begins."""
    for (_, end_ns, earlier), (start_ns, _, later) in itertools.pairwise(found):
        assert end_ns <= start_ns, f"{earlier} and {later} overlap on {device}"


def check_nothing_left(bench, stored):
    """No window twice in the database; in the spools nothing, except at a worker apart what is stored already."""
    with closing(sqlite3.connect(bench.home / "lab.db")) as database:
        twice = database.execute("SELECT block_id, position, count(*) FROM windows GROUP BY 1, 2 HAVING count(*) > 1")
        assert twice.fetchall() == []
    for home in bench.homes:
        kept = {manifest.block_id for _, manifest in HostSpool(home / "spool").waiting()}
        assert kept <= (set() if home == bench.home else stored)
        assert not (home / "spool/rejected").exists()
        orders = {path.stem for path in (home / "spool/orders").glob("*.json")}
        assert orders <= kept
