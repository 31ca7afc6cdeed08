"""The parts of a campaign file, each for itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from lab.config.campaign_file import MODELS, CampaignFile, ConstraintsFile, LoadFile, ProtocolFile, SettingsFile
from lab.domain.campaign import PROTOCOLS, Constraints, Load, Settings

COUNTS = st.lists(st.integers(1, 64), min_size=1, max_size=4, unique=True)
STATES = [{"governor": "performance"}, {"governor": "powersave", "fan": "0"}]


@given(COUNTS, COUNTS, st.booleans())
def test_settings_are_the_cross_product_without_repeats(threads, batch, with_states):
    """As many as the lengths multiply to, all different, the device state varying fastest."""
    states = STATES if with_states else [{}]
    made = SettingsFile(threads=threads, batch=batch, device_state=states).settings()
    assert len(set(made)) == len(made) == len(threads) * len(batch) * len(states)
    assert [item.threads for item in made[:len(states)]] == [threads[0]] * len(states)
    assert {item.device_state for item in made} == {tuple(sorted(state.items())) for state in states}


def test_no_settings_are_one_setting():
    """One thread, batch one, back to back, on onnxruntime."""
    assert SettingsFile().settings() == (Settings(),)


@pytest.mark.parametrize(("given_values", "expected"), [
    ({"kind": "back_to_back"}, Load()),
    ({"kind": "paced", "rate_hz": 50}, Load(kind="paced", rate_hz=50.0, deadline_ns=20_000_000)),
    ({"kind": "paced", "rate_hz": 0.5, "deadline_ms": 3}, Load(kind="paced", rate_hz=0.5, deadline_ns=3_000_000)),
])
def test_loads(given_values, expected):
    """Rates are numbers with a point, deadlines whole nanoseconds."""
    made = LoadFile(**given_values).load()
    assert made == expected
    assert made.rate_hz is None or isinstance(made.rate_hz, float)


@pytest.mark.parametrize("given_values", [{"kind": "paced"}, {"kind": "paced", "deadline_ms": 3},
                                          {"kind": "back_to_back", "rate_hz": 3.0},
                                          {"kind": "back_to_back", "deadline_ms": 3.0}])
def test_loads_that_contradict_themselves(given_values):
    """A rate belongs to paced, and paced needs one."""
    with pytest.raises(ValueError, match="rate_hz"):
        LoadFile(**given_values).load()


@pytest.mark.parametrize("preset", PROTOCOLS)
def test_a_bare_preset_is_the_preset(preset):
    """Nothing is added on the way."""
    assert ProtocolFile(preset=preset).protocol() == PROTOCOLS[preset]


@given(st.floats(0.01, 3600), st.floats(0, 3600), st.floats(0, 3600))
def test_seconds_become_nanoseconds(window_s, warmup_s, idle_s):
    """To the nearest one."""
    made = ProtocolFile(preset="standard", window_s=window_s, warmup_s=warmup_s, idle_s=idle_s).protocol()
    for seconds, nanoseconds in ((window_s, made.window_ns), (warmup_s, made.warmup_ns), (idle_s, made.idle_ns)):
        assert isinstance(nanoseconds, int)
        assert abs(nanoseconds - seconds * 1e9) <= 0.5 + 1e-6


@pytest.mark.parametrize("changes", [
    {"window_s": 0}, {"window_s": 3601}, {"warmup_s": -1}, {"idle_s": float("inf")}, {"inferences_min": 0},
    {"sample_rate_hz": 0}, {"sample_rate_hz": 1e5}, {"target_ci_ratio": 0}, {"target_ci_ratio": 1}, {"blocks_min": 0},
    {"blocks_max": 1001}, {"budget_s": 0}, {"order_seed": -1}, {"blocks_min": 2.5}, {"window_s": True},
    {"window_s": "5"}, {"preset": "slow"},
])
def test_protocol_limits(changes):
    """What an agent would refuse, or what makes no sense, ends here."""
    with pytest.raises(ValidationError):
        ProtocolFile(**({"preset": "standard"} | changes))


@pytest.mark.parametrize(("blocks_min", "blocks_max", "is_good"), [(6, 6, True), (7, 6, False), (1, 1, True)])
def test_the_fewest_blocks_are_not_more_than_the_most(blocks_min, blocks_max, is_good):
    """Both come from the file or from the preset."""
    file = ProtocolFile(preset="standard", blocks_min=blocks_min, blocks_max=blocks_max)
    if is_good:
        assert file.protocol().blocks_min == blocks_min
    else:
        with pytest.raises(ValueError, match="got 7 and 6"):
            file.protocol()


def test_constraints_in_si():
    """A limit that is not given is None, never zero."""
    assert ConstraintsFile().constraints() == Constraints()
    assert ConstraintsFile(accuracy_drop_max=0).constraints().accuracy_drop_max_ratio == 0.0
    made = ConstraintsFile(latency_p99_max_ms=0.25, memory_max_mb=1.5, power_max_w=2).constraints()
    assert (made.latency_p99_max_ns, made.memory_max_bytes, made.power_max_w) == (250_000, 1_500_000, 2.0)


def test_every_model_of_the_file_is_known_by_the_key_that_holds_it():
    """Otherwise an unknown key there could not list the known ones."""
    assert MODELS[""] is CampaignFile
    assert {name for name in MODELS if name} <= {*CampaignFile.model_fields, *SettingsFile.model_fields}
