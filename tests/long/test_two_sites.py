"""Outages of a minute between a controller and the worker beside its device; short ones are in tests/system."""

from __future__ import annotations

import pytest

from tests.conftest import need
from tests.support import netns, postgres, sshd
from tests.support.outages import WHOLE_S, campaign_with_an_outage, cut_for, database_away_for, end_of
from tests.support.queue_kills import check_whole
from tests.support.two_sites import TwoSites

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]
OUTAGE_S = 60.0


@pytest.fixture(scope="module")
def sites(tmp_path_factory):
    """One pair of sites for all tests here; each test queues a campaign of its own."""
    need("netns", netns.AVAILABLE)
    need("postgres", postgres.AVAILABLE)
    need("sshd", sshd.AVAILABLE)
    with TwoSites(tmp_path_factory.mktemp("sites")) as running:
        yield running


@pytest.mark.parametrize("where", [None, netns.DEVICE], ids=["silence", "cable"])
def test_the_wire_is_cut_for_a_minute_while_a_block_goes_on(sites, where):
    """The block ends on its device meanwhile; once the wire is back nothing is lost, and nothing measured twice."""
    campaign_id = campaign_with_an_outage(sites, f"cut-{where or 'all'}", lambda: cut_for(sites, OUTAGE_S, where))
    end_of(sites, campaign_id, WHOLE_S)
    check_whole(sites, campaign_id, blocks=3)


def test_the_database_is_away_for_a_minute_while_a_block_goes_on(sites):
    """Everybody loses their connections; when it is back the campaign goes on by itself."""
    campaign_id = campaign_with_an_outage(sites, "database", lambda: database_away_for(sites.postgres, OUTAGE_S))
    end_of(sites, campaign_id, WHOLE_S)
    check_whole(sites, campaign_id, blocks=3)
