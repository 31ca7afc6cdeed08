"""Everything a controller may ask for, by name."""

from __future__ import annotations

from typing import Dict

from . import blocks, leases, spooled, uploads
from .base import Operation
from .facts import facts

OPERATIONS: Dict[str, Operation] = {
    "facts": facts,
    "lease.acquire": leases.acquire,
    "lease.kick": leases.kick,
    "lease.renew": leases.renew,
    "lease.release": leases.release,
    "put.open": uploads.open_put,
    "put.commit": uploads.commit_put,
    "block.start": blocks.start,
    "block.status": blocks.status,
    "block.wait": blocks.wait,
    "block.cancel": blocks.cancel,
    "spool.list": spooled.list_entries,
    "spool.get": spooled.get,
    "spool.ack": spooled.acknowledge,
}
