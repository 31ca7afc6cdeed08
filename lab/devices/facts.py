"""What an agent says about its host, as a typed record: checked, cleaned and capped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias, cast

from agents.wire import PROTOCOL
from agents.wire.messages import Header
from lab.domain.device import ChannelFacts, DeviceFacts
from lab.domain.untrusted import Fields
from lab.errors import ProtocolMismatch
from lab.transports.base import AgentBundle

from .untrusted import flag, objects, pairs, texts

MAX_CPUS = 4096
MAX_MEMORY_BYTES = 2**50
_Kind: TypeAlias = Literal["sample", "interval_mean", "counter"]
_KINDS = ("sample", "interval_mean", "counter")


def check_hello(hello: Mapping[str, object], bundle: AgentBundle, where: str) -> None:
    """Raise ProtocolMismatch unless this very agent speaks this very protocol."""
    fields = Fields.of(hello, f"({where}) HELLO")
    protocol = fields.whole("proto", high=2**31)
    if protocol != PROTOCOL:
        raise ProtocolMismatch(f"{where}: the agent speaks protocol {protocol}, expected {PROTOCOL}; reconnect")
    sha256 = fields.text("agent_sha256")
    if sha256 != bundle.sha256:
        raise ProtocolMismatch(f"{where}: agent {sha256} is running, expected {bundle.sha256}; reconnect")


def device_facts(hello: Header, answer: Fields, where: str) -> DeviceFacts:
    """Facts from the HELLO and the answer to `facts`; raises ProtocolMismatch naming the field that is wrong."""
    fields = Fields.of(hello, f"({where}) HELLO")
    return DeviceFacts(
        agent_sha256=fields.text("agent_sha256"), boot_id=fields.text("boot_id"), machine=fields.text("machine"),
        system=fields.text("system"), kernel=fields.text("kernel"), python=fields.text("python"),
        cpu_model=fields.text("cpu_model"), cpu_count=fields.whole("cpu_count", 1, MAX_CPUS),
        isa=texts(fields, "isa", 200), has_aes=flag(fields, "has_aes"),
        memory_bytes=fields.whole_or_none("memory_bytes", 1, MAX_MEMORY_BYTES),
        model=fields.text("model") if fields.has("model") else None,
        runtimes=pairs(answer, "runtimes", 100),
        channels=tuple(_channel(item) for item in objects(answer, "channels", 1000)),
        unavailable=(*(_reason(item) for item in objects(answer, "unavailable", 1000)), *_missing(answer)),
    )


def _channel(item: Fields) -> ChannelFacts:
    kind = cast("_Kind", item.choice("kind", _KINDS))
    return ChannelFacts(probe=item.text("probe"), rail=item.text("rail"), quantity=item.text("quantity"), kind=kind)


def _missing(answer: Fields) -> tuple[tuple[str, str], ...]:
    """Runtimes that cannot be used, with the reason."""
    return tuple((name, f"missing: {reason}") for name, reason in pairs(answer, "runtimes_missing", 100))


def _reason(item: Fields) -> tuple[str, str]:
    return item.text("probe"), f"{item.text('code')}: {item.text('reason', 300)}"
