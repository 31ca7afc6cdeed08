"""A controller at one site, a device and its worker at another: a campaign, outages of the wire, of the database.

The minute-long outage is in tests/long/test_two_sites.py.
"""

from __future__ import annotations

import pytest

from tests.conftest import need
from tests.support import netns, postgres, sshd
from tests.support.outages import WHOLE_S, campaign_with_an_outage, cut_for, database_away_for, end_of
from tests.support.queue_kills import check_whole
from tests.support.two_sites import TwoSites

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]
CUT_S = 8.0


@pytest.fixture(scope="module")
def sites(tmp_path_factory):
    """One pair of sites for all tests here; each test queues a campaign of its own."""
    need("netns", netns.AVAILABLE)
    need("postgres", postgres.AVAILABLE)
    need("sshd", sshd.AVAILABLE)
    with TwoSites(tmp_path_factory.mktemp("sites")) as running:
        yield running


def test_a_campaign_is_measured_by_the_worker_at_the_other_site(sites):
    """Artifacts go there, recordings come back, the controller's site never speaks to the device."""
    campaign_id = sites.submit("plain")
    end_of(sites, campaign_id, WHOLE_S)
    check_whole(sites, campaign_id, blocks=3)
    clients = sites.postgres.execute("SELECT DISTINCT host(client_addr), ssl FROM pg_stat_activity "
                                     "JOIN pg_stat_ssl USING (pid) WHERE usename = 'lab'")
    assert set(clients) == {(address, True) for address in netns.ADDRESSES.values()}
    spoken_to = set(sites.device.log().split())
    assert netns.ADDRESSES[netns.DEVICE] in spoken_to
    assert netns.ADDRESSES[netns.CONTROLLER] not in spoken_to


@pytest.mark.parametrize("where", [None, netns.DEVICE], ids=["silence", "cable"])
def test_the_wire_is_cut_while_a_block_goes_on(sites, where):
    """The block ends on its device meanwhile; once the wire is back nothing is lost, and nothing measured twice."""
    campaign_id = campaign_with_an_outage(sites, f"cut-{where or 'all'}", lambda: cut_for(sites, CUT_S, where))
    end_of(sites, campaign_id, WHOLE_S)
    check_whole(sites, campaign_id, blocks=3)


def test_the_database_is_stopped_at_once_while_a_block_goes_on(sites):
    """Everybody loses their connections; when it is back the campaign goes on by itself."""
    campaign_id = campaign_with_an_outage(sites, "database", lambda: database_away_for(sites.postgres, 4.0))
    end_of(sites, campaign_id, WHOLE_S)
    check_whole(sites, campaign_id, blocks=3)
