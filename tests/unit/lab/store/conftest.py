"""A store with one campaign of two cells on one device."""

import pytest

from lab.store.store import Store
from tests.support import samples

CAMPAIGN_ID = "c0ffee0123456789"


@pytest.fixture
def store(lab_home):
    with Store.open(lab_home) as opened:
        yield opened


@pytest.fixture
def filled(store):
    store.save_device(samples.DEVICE)
    store.save_campaign(CAMPAIGN_ID, samples.campaign(), samples.WORKLOAD_SHA256, "name: first")
    store.save_cells(CAMPAIGN_ID, [samples.cell(), samples.cell(samples.INT8)])
    return store
