"""What a campaign looks like as text."""

from __future__ import annotations

import yaml

from lab.config.campaign_yaml import campaign_to_yaml
from lab.domain.campaign import PROTOCOLS, Campaign, Constraints, Load, Settings, StepSpec, Technique

CAMPAIGN = Campaign(
    name="no", owner="Grüße", workload="/models/a.onnx+/data/b.npz", devices=("on", "1e3"), seeds=(0, 1),
    techniques=(Technique(name="baseline"),
                Technique(name="int8", steps=(StepSpec(name="quantize_static", params=(("op_types", ("Conv",)),)),)),
                Technique(name="two", steps=(StepSpec(name="distill"), StepSpec(name="quantize_static")))),
    settings=(Settings(), Settings(load=Load(kind="paced", rate_hz=20.0, deadline_ns=1_500_000),
                                   device_state=(("governor", "performance"),))),
    protocol=PROTOCOLS["standard"], constraints=Constraints(latency_p99_max_ns=2_500_000, memory_max_bytes=3_000_000))
DATA = yaml.safe_load(campaign_to_yaml(CAMPAIGN))


def test_words_that_yaml_would_misread_stay_text():
    """A device called `on` is not true, and a name like a number is a name."""
    assert (DATA["name"], DATA["devices"], DATA["owner"]) == ("no", ["on", "1e3"], "Grüße")
    assert "Grüße" in campaign_to_yaml(CAMPAIGN)


def test_the_baseline_is_not_written_since_it_is_always_there():
    """Steps without parameters are names; with parameters, one key."""
    assert DATA["techniques"] == {"int8": [{"quantize_static": {"op_types": ["Conv"]}}],
                                  "two": ["distill", "quantize_static"]}


def test_units_are_those_people_write():
    """Seconds, milliseconds, megabytes; limits that are not set are left out."""
    assert DATA["constraints"] == {"latency_p99_max_ms": 2.5, "memory_max_mb": 3.0}
    assert DATA["settings"][1]["load"] == {"kind": "paced", "rate_hz": 20.0, "deadline_ms": 1.5}
    assert (DATA["protocol"]["window_s"], DATA["protocol"]["idle_s"]) == (10.0, 30.0)


def test_defaults_are_written_out_and_absent_things_are_not():
    """The text says all there is to say about how a number was made."""
    assert DATA["settings"][0] == {"runtime": "onnx_runtime", "threads": 1, "batch": 1, "load": "back_to_back"}
    assert DATA["seeds"] == [0, 1]
    assert "budget_s" not in DATA["protocol"]
    assert DATA["protocol"]["order_seed"] == 0


def test_keys_stand_in_the_order_of_the_examples():
    """A person reads it from the top."""
    assert list(DATA)[:4] == ["name", "owner", "workload", "devices"]
