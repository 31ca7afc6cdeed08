"""The operation that says what the device can run and read."""

from __future__ import annotations

import time
from typing import List, Optional

from agents.errors import Refused, refused_by_system
from agents.facts import TIMEOUT_S
from agents.facts_cache import WAIT_S, FactsCache

from .base import Answer, Header, Later, Services


def facts(services: Services, request: Header) -> Answer:  # noqa: ARG001
    """`facts{}` → `{runtimes, runtimes_missing, channels, unavailable}`; see FactsCache."""
    found: List[Header] = []
    refusals: List[Refused] = []

    def work() -> None:
        try:
            found.append(FactsCache(services.home, services.root).facts())
        except Refused as error:
            refusals.append(error)
        except OSError as error:
            refusals.append(refused_by_system(error))

    def poll() -> Optional[Header]:
        if refusals:
            raise refusals[0]
        return found[0] if found else None

    def give_up() -> Answer:
        raise Refused("facts_failed", "looking for runtimes and probes took too long", retryable=True)

    services.background.start(work, lambda: None)
    return Later(poll, time.monotonic_ns() + int((WAIT_S + TIMEOUT_S + 5) * 1e9), give_up)
