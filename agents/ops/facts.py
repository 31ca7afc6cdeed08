"""The operation that says what the device can run and read."""

from __future__ import annotations

import time
from typing import List, Optional

from agents.errors import Refused, refused_by_system
from agents.facts import TIMEOUT_S, gather_facts

from .base import Answer, Header, Later, Services


def facts(services: Services, request: Header) -> Answer:  # noqa: ARG001
    """`facts{}` → `{runtimes, runtimes_missing, channels, unavailable}`; found by a process of its own."""
    found: List[Header] = []
    refusals: List[Refused] = []

    def work() -> None:
        try:
            found.append(gather_facts(services.root))
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
    return Later(poll, time.monotonic_ns() + int((TIMEOUT_S + 5) * 1e9), give_up)
