"""Ctrl-C on a campaign: once leaves it in the queue, twice cancels it."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import click

from lab.domain.campaign import Campaign

_SECOND_WITHIN_S = 3.0
_INTERRUPTED = 130


@contextmanager
def queued_or_cancelled(campaign: Campaign) -> Iterator[None]:
    """Ends this process on Ctrl-C, with exit code 130, after asking in effect whether to keep the campaign."""
    try:
        yield
    except KeyboardInterrupt:
        click.echo(f"\nStopped here; {campaign.name} stays in the queue, and a block that runs goes on. "
                   f"The same command goes on with it. Ctrl-C again within {_SECOND_WITHIN_S:.0f} s cancels it.",
                   err=True)
        if _is_pressed_again():
            _cancel(campaign)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(_INTERRUPTED)  # threads may wait for a device for minutes; everything that counts is on disk


def _is_pressed_again() -> bool:
    try:
        time.sleep(_SECOND_WITHIN_S)
    except KeyboardInterrupt:
        return True
    return False


def _cancel(campaign: Campaign) -> None:
    from lab import wiring
    from lab.campaigns.ids import campaign_id_of
    from lab.wiring import queue

    with wiring.open_services() as services:
        queue.cancel_here(services, campaign_id_of(campaign))
    click.echo(f"Cancelled {campaign.name}. What was measured stays.", err=True)
