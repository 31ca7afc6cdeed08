import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compressors.prune.channels import PruneChannels
from compressors.quantize.static import QuantizeStatic
from lab.compression.steps import describe_steps, step_class, step_params, validate_order, validate_step
from lab.domain.campaign import StepSpec, Technique
from lab.errors import ConfigError


def spec(name, **params):
    return StepSpec(name=name, params=tuple(params.items()))


def test_a_step_is_found_by_name():
    assert step_class("prune_channels") is PruneChannels


@pytest.mark.parametrize("name", ["prune_chanels", "prune", "PRUNE_CHANNELS", ""])
def test_an_unknown_step_lists_the_known_ones(name):
    with pytest.raises(ConfigError, match=f"unknown step '{name}'; known steps: distill, factorize_svd, prune_ch"):
        step_class(name)


def test_a_near_miss_is_pointed_out():
    with pytest.raises(ConfigError, match="did you mean 'prune_channels'"):
        step_class("prune_chanels")


def test_parameters_become_fields_and_the_rest_keeps_its_default():
    assert validate_step(spec("prune_channels", ratio=0.25, importance="bn")) == \
        PruneChannels(ratio=0.25, importance="bn")
    assert validate_step(spec("quantize_static")) == QuantizeStatic()


def test_whole_numbers_are_fine_numbers_and_lists_fine_tuples():
    step = validate_step(spec("factorize_svd", energy=1))
    assert isinstance(step.energy, float)
    assert validate_step(spec("quantize_static", op_types=("Conv",))).op_types == ("Conv",)


def test_null_and_true_fit_where_both_are_meant():
    assert validate_step(spec("quantize_static", reduce_range=None)).reduce_range is None
    assert validate_step(spec("quantize_static", reduce_range=True)).reduce_range is True


@pytest.mark.parametrize(("name", "params", "message"), [
    ("prune_channels", {"ratio": "0.5"}, "step prune_channels: ratio: expected a number, got '0.5'"),
    ("prune_channels", {"ratio": True}, "step prune_channels: ratio: expected a number, got True"),
    ("prune_channels", {"ratio": 1.5}, "step prune_channels: ratio: expected a number above 0 and below 1, got 1.5"),
    ("prune_channels", {"ratio": None}, "step prune_channels: ratio: expected a number, got None"),
    ("prune_channels", {"epochs": 2.0}, "step prune_channels: epochs: expected a whole number, got 2.0"),
    ("prune_channels", {"epochs": True}, "step prune_channels: epochs: expected a whole number, got True"),
    ("prune_channels", {"importance": "tailor"},
     "step prune_channels: importance: expected one of magnitude, taylor, bn, got 'tailor'; did you mean 'taylor'?"),
    ("quantize_static", {"reduce_range": "auto"},
     "step quantize_static: reduce_range: expected true or false or null, got 'auto'"),
    ("quantize_static", {"op_types": "Conv"}, "step quantize_static: op_types: expected a list of texts, got 'Conv'"),
    ("quantize_static", {"op_types": (1, 2)}, "step quantize_static: op_types: expected a list of texts, got (1, 2)"),
    ("quantize_static", {"per_channel": 1}, "step quantize_static: per_channel: expected true or false, got 1"),
    ("quantize_static", {"weights": 8}, "step quantize_static: weights: expected one of uint8, int8, got 8"),
    ("distill", {"width_ratio": 0}, "step distill: width_ratio: expected a number above 0 and at most 1, got 0.0"),
])
def test_a_wrong_parameter_says_which_step_and_field_what_was_expected_and_given(name, params, message):
    with pytest.raises(ConfigError) as caught:
        validate_step(spec(name, **params))
    assert str(caught.value) == message
    assert caught.value.exit_code == 2


def test_an_unknown_parameter_lists_what_the_step_takes():
    with pytest.raises(ConfigError) as caught:
        validate_step(spec("factorize_svd", energi=0.5))
    assert str(caught.value) == ("step factorize_svd: unknown parameter 'energi'; it takes energy, round_to, rank_min, "
                                 "epochs, learning_rate; did you mean 'energy'?")


def test_a_parameter_given_twice_is_refused():
    twice = StepSpec(name="distill", params=(("alpha", 0.5), ("alpha", 0.6)))
    with pytest.raises(ConfigError, match="parameter alpha is given twice"):
        validate_step(twice)


@given(st.dictionaries(st.sampled_from(["ratio", "epochs", "importance", "round_to", "other"]),
                       st.one_of(st.none(), st.booleans(), st.integers(-5, 99), st.floats(), st.text(max_size=5),
                                 st.tuples(st.text(max_size=3))), max_size=4))
def test_whatever_is_given_either_fits_or_is_refused_by_name(params):
    try:
        outcome = {name: getattr(validate_step(spec("prune_channels", **params)), name) for name in params}
    except ConfigError as error:
        outcome = str(error)
    assert outcome == params or re.match(r"step prune_channels: (unknown parameter|ratio|epochs|importance|round_to)",
                                         outcome)


def technique(*names):
    return Technique(name="t", steps=tuple(spec(name) for name in names))


def test_torch_steps_come_before_onnx_steps():
    validate_order(technique())
    validate_order(technique("prune_channels", "distill", "quantize_static"))
    validate_order(technique("quantize_static"))
    with pytest.raises(ConfigError, match=r"technique t: distill works on the torch model and cannot follow "
                                          "quantize_static, .*; put distill first"):
        validate_order(technique("prune_channels", "quantize_static", "distill"))


def test_an_unknown_step_is_found_by_the_order_check_too():
    with pytest.raises(ConfigError, match="unknown step 'quantise_static'"):
        validate_order(technique("quantise_static"))


def test_steps_are_described_with_what_they_take():
    described = {step.name: step for step in describe_steps()}
    assert list(described) == sorted(described)
    prune = described["prune_channels"]
    assert prune.kind == "torch"
    assert prune.parameters_text == ("ratio = 0.5, round_to = 8, importance = magnitude, epochs = 3, "
                                     "learning_rate = 0.001")
    assert prune.parameters[2].expected == "one of magnitude, taylor, bn"
    quantize = described["quantize_static"].parameters_text
    assert "reduce_range = null" in quantize
    assert "per_channel = false" in quantize
    assert "op_types = [Conv, MatMul, Gemm]" in quantize


def test_all_parameters_of_a_step_are_listed_by_name():
    params = step_params(PruneChannels(ratio=0.3))
    assert params == (("epochs", 3), ("importance", "magnitude"), ("learning_rate", 0.001), ("ratio", 0.3),
                      ("round_to", 8))


def test_another_registry_can_be_given():
    steps = {"mine": "compressors.distill.logits:Distill"}
    assert validate_step(spec("mine"), steps).kind == "torch"
    assert [step.name for step in describe_steps(steps)] == ["mine"]
    with pytest.raises(ConfigError, match="known steps: mine"):
        validate_order(technique("distill"), steps)
