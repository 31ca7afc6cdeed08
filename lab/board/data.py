"""Reads for the pages: one short-lived store per read, cached for two seconds so that a click is not a query."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from lab.domain.device import Device, DeviceFacts, DeviceProfile
from lab.domain.result import ResultRow
from lab.domain.summary import CampaignSummary, Event
from lab.store.database import DATABASE_NAME
from lab.store.store import Store

CACHE_S = 2
"""A page may show nothing older than this."""


@dataclass(frozen=True, kw_only=True)
class Sources:
    """Where the pages read from: `open_store` opens the store of `home` for reading, `load_profile` takes a name."""

    home: Path
    open_store: Callable[[], AbstractContextManager[Store]]
    load_profile: Callable[[str], DeviceProfile]

    @property
    def is_new(self) -> bool:
        """Whether nothing was ever stored here, so that there is nothing to open either."""
        return not (self.home / DATABASE_NAME).exists()


@dataclass(frozen=True, kw_only=True)
class KnownDevice:
    """A registered device with what its agent last said, and when."""

    device: Device
    facts: DeviceFacts | None
    facts_utc: str | None


def campaigns(sources: Sources) -> tuple[CampaignSummary, ...]:
    """Every campaign, the newest first."""
    return () if sources.is_new else _campaigns(str(sources.home), sources)


def result_rows(sources: Sources, campaign_id: str) -> tuple[ResultRow, ...]:
    """All lines of one campaign in the order of the results table: one read of the store."""
    return _result_rows(str(sources.home), campaign_id, sources)


def events(sources: Sources, campaign_id: str) -> tuple[Event, ...]:
    """What happened to the campaign, the newest first."""
    return _events(str(sources.home), campaign_id, sources)


def devices(sources: Sources) -> tuple[KnownDevice, ...]:
    """Registered devices with the facts known about them."""
    return () if sources.is_new else _devices(str(sources.home), sources)


@st.cache_data(ttl=CACHE_S, max_entries=4, show_spinner=False)
def _campaigns(home: str, _sources: Sources) -> tuple[CampaignSummary, ...]:  # noqa: ARG001 - home is the cache key
    with _sources.open_store() as store:
        return tuple(reversed(store.campaigns()))


@st.cache_data(ttl=CACHE_S, max_entries=8, show_spinner=False)
def _result_rows(home: str, campaign_id: str, _sources: Sources) -> tuple[ResultRow, ...]:  # noqa: ARG001
    with _sources.open_store() as store:
        return store.result_rows(campaign=campaign_id)


@st.cache_data(ttl=CACHE_S, max_entries=8, show_spinner=False)
def _events(home: str, campaign_id: str, _sources: Sources) -> tuple[Event, ...]:  # noqa: ARG001
    with _sources.open_store() as store:
        return tuple(reversed(store.events(campaign_id)))


@st.cache_data(ttl=CACHE_S, max_entries=4, show_spinner=False)
def _devices(home: str, _sources: Sources) -> tuple[KnownDevice, ...]:  # noqa: ARG001
    with _sources.open_store() as store:
        known = [(device, store.facts(device.name) or (None, None)) for device in store.devices()]
    return tuple(KnownDevice(device=device, facts=facts, facts_utc=utc) for device, (facts, utc) in known)
