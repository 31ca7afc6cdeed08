"""Outages in the middle of a block at two sites, and waiting for the end of a campaign there."""

import time

from lab import wiring
from tests.support.queue_kills import is_over
from tests.support.two_sites import wait_until

WHOLE_S = 150.0
"""Enough for a campaign, and for TCP to try again after a minute of silence."""

_BEGIN_S = 90.0


def campaign_with_an_outage(sites, name, outage):
    """Queue a campaign, have the outage once a block is being measured, and return the campaign's id after it."""
    campaign_id = sites.submit(name, window_s=1.0)
    orders = sites.worker_home / "spool/orders"
    seen = {path.name for path in orders.glob("*.json")}

    def has_begun():
        return {path.name for path in orders.glob("*.json")} - seen

    wait_until(has_begun, _BEGIN_S, lambda: f"no block begins: {sites.said()}")
    time.sleep(0.5)
    outage()
    return campaign_id


def cut_for(sites, seconds, where):
    """Nothing crosses the wire for so long."""
    sites.sites.cut(where)
    time.sleep(seconds)
    sites.sites.heal()


def database_away_for(postgres, seconds):
    """A crash of the database, and its start some time later."""
    postgres.stop("immediate")
    time.sleep(seconds)
    postgres.start()


def end_of(sites, campaign_id, wait_s):
    """Wait for the campaign's end, watching from the controller's home."""
    with wiring.open_store(sites.home) as store:
        wait_until(lambda: is_over(store, campaign_id), wait_s,
                   lambda: f"the campaign does not end: {store.cell_states(campaign_id)}\n{sites.said()}")
