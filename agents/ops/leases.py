"""Operations on the lease."""

from __future__ import annotations

from agents.lease import TTL_MAX_S

from .base import Answer, Header, Services, number, text, whole


def acquire(services: Services, request: Header) -> Answer:
    """`lease.acquire{owner, ttl_s}` → `{fence}`, or ERR held."""
    services.home.create()
    return {"fence": services.lease.acquire(text(request, "owner"), number(request, "ttl_s", TTL_MAX_S))}


def kick(services: Services, request: Header) -> Answer:
    """`lease.kick{owner, ttl_s}` → `{fence, holder, block_id}`: who held it, and which block runs, or null."""
    services.home.create()
    kicked = services.lease.kick(text(request, "owner"), number(request, "ttl_s", TTL_MAX_S))
    return {"fence": kicked.fence, "holder": kicked.holder, "block_id": services.blocks.running()}


def renew(services: Services, request: Header) -> Answer:
    """`lease.renew{fence, ttl_s}` → `{}`."""
    services.lease.renew(whole(request, "fence"), number(request, "ttl_s", TTL_MAX_S))
    return {}


def release(services: Services, request: Header) -> Answer:
    """`lease.release{fence}` → `{}`."""
    services.lease.release(whole(request, "fence"))
    return {}
