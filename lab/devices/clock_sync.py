"""Agent clock against host clock from request-answer exchanges, each with four instants."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from lab.domain.recording import ClockSync
from lab.errors import ProtocolMismatch


class Exchange(NamedTuple):
    """One PING and its PONG: host sends at t0 and hears at t3, the agent receives at t1 and sends at t2 (all ns)."""

    t0_ns: int
    t1_ns: int
    t2_ns: int
    t3_ns: int

    @property
    def delay_ns(self) -> int:
        """Time spent on the link, both ways together."""
        return (self.t3_ns - self.t0_ns) - (self.t2_ns - self.t1_ns)

    @property
    def offset_ns(self) -> int:
        """What to add to an agent instant, if both ways took equally long."""
        return (self.t0_ns + self.t3_ns - self.t1_ns - self.t2_ns) // 2


def check(exchange: Exchange, what: str) -> Exchange:
    """The exchange itself; raises ProtocolMismatch if its instants cannot be true."""
    if exchange.t2_ns < exchange.t1_ns or exchange.delay_ns < 0:
        raise ProtocolMismatch(
            f"{what}: the agent's clock readings {exchange.t1_ns} and {exchange.t2_ns} contradict the "
            f"{exchange.t3_ns - exchange.t0_ns} ns that passed here"
        )
    return exchange


def estimate(exchanges: Sequence[Exchange]) -> ClockSync:
    """Offset by the exchange of least delay; the true one lies within half that delay, whatever the asymmetry.

    Drift needs two estimates some time apart, so it is None here. Raises ValueError without exchanges.
    """
    best = min(exchanges, key=lambda exchange: exchange.delay_ns)
    return ClockSync(
        offset_ns=best.offset_ns, uncertainty_ns=best.delay_ns // 2 + 1, drift_ppm=None, exchanges=len(exchanges))
