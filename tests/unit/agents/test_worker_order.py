"""An order survives the file between the block process and its worker."""

import json
from pathlib import Path

import pytest

from agents.wire.plan import LoadPlan
from agents.worker_order import order_for, order_from_json, order_to_json
from tests.support.agent_process import window_plan


@pytest.mark.parametrize("inputs", [None, Path("/inputs")])
@pytest.mark.parametrize("load", [LoadPlan(), LoadPlan("paced", 30.0, 1000), LoadPlan("paced", 30.0)])
def test_an_order_comes_back_as_it_was(inputs, load):
    order = order_for(window_plan("a" * 64, load=load), 10_000, Path("/artifact"), inputs, Path("/part"))
    assert order_from_json(json.loads(json.dumps(order_to_json(order)))) == order


def test_an_order_takes_everything_from_the_plan_but_the_hashes():
    window = window_plan("a" * 64, threads=3, batch=2, warmup_ns=1, length_ns=2, inferences_min=4, runtime="r")
    order = order_for(window, 10, Path("/a"), None, Path("/p"))
    for name in ("threads", "batch", "warmup_ns", "length_ns", "inferences_min", "runtime", "load"):
        assert getattr(order, name) == getattr(window, name)
    assert (order.artifact, order.part, order.deadline_ns) == (Path("/a"), Path("/p"), 10)


@pytest.mark.parametrize("data", [{}, {"load": {}, "artifact": "a"}])
def test_half_an_order_is_refused(data):
    with pytest.raises((KeyError, TypeError)):
        order_from_json(data)
