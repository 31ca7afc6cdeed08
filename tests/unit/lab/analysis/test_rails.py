"""Which traces are the device's energy."""

import pytest

from lab.analysis.rails import headline_of
from lab.domain.device import Rail, Scope
from tests.support import samples
from tests.support.windows import constant_counter, constant_power, trace, window

X86 = samples.profile(rails=(
    Rail(name="package-[0-9]", scope=Scope.PACKAGE, source="rapl", headline=True),
    Rail(name="package-*/*", scope=Scope.RAIL, source="rapl"),
    Rail(name="psys", scope=Scope.BOARD_DC, source="rapl"),
))
JETSON = samples.profile(rails=(
    Rail(name="VDD_IN", scope=Scope.MODULE, source="hwmon", headline=True),
    Rail(name="VDD_*", scope=Scope.RAIL, source="hwmon"),
))


def names(headline):
    return [rail.name for rail in headline.rails]


def test_packages_add_up_and_their_parts_do_not():
    traces = [constant_counter(1.0, rail=rail) for rail in ("package-0", "package-1", "package-0/core", "psys")]
    headline = headline_of(window(traces=traces), X86)
    assert names(headline) == ["package-0", "package-1"]
    assert headline.scope is Scope.PACKAGE


def test_the_first_line_that_names_a_rail_decides():
    """`VDD_*` matches the input too, and a substring never does."""
    traces = [constant_power(1.0, rail=rail) for rail in ("VDD_CPU_GPU_CV", "VDD_IN", "VDD_IN_EXTRA")]
    assert names(headline_of(window(traces=traces), JETSON)) == ["VDD_IN"]


def test_unlike_scopes_are_alternatives_never_a_sum():
    profile = samples.profile(rails=(
        Rail(name="VIN", scope=Scope.BOARD_DC, source="hwmon", headline=True),
        Rail(name="VDD_IN", scope=Scope.MODULE, source="hwmon", headline=True)))
    both = [constant_power(1.0, rail="VDD_IN"), constant_power(2.0, rail="VIN")]
    assert names(headline_of(window(traces=both), profile)) == ["VIN"]
    assert names(headline_of(window(traces=both[:1]), profile)) == ["VDD_IN"]


def test_a_counter_is_preferred_to_samples_of_the_same_rail():
    traces = [constant_power(1.0), constant_counter(2.0)]
    (rail,) = headline_of(window(traces=traces), JETSON).rails
    assert rail.curve.is_counter


def test_samples_serve_where_the_counter_cannot_be_read():
    dead = trace([0, 1], [-1, -1], quantity="energy_j", kind="counter", errors=((0, 13), (1, 13)))
    (rail,) = headline_of(window(traces=[dead, constant_power(1.0)]), JETSON).rails
    assert not rail.curve.is_counter


def test_current_and_voltage_make_power():
    at = constant_power(1.0).t_ns
    current = trace(at, [400] * len(at), quantity="current_a", scale=1e-3)
    voltage = trace(at, [5000] * len(at), quantity="voltage_v", scale=1e-3)
    (rail,) = headline_of(window(traces=[voltage, current]), JETSON).rails
    assert rail.curve.left_w[0] == pytest.approx(2.0)


def test_two_sources_of_one_name_count_once():
    traces = [constant_power(1.0), constant_power(9.0)]
    (rail,) = headline_of(window(traces=traces), JETSON).rails
    assert rail.curve.left_w[0] == pytest.approx(1.0)


@pytest.mark.parametrize(("traces", "rails", "code", "text"), [
    ([], (), "no_power_source", "it names none"),
    ([constant_power(1.0)], (Rail(name="*", scope=Scope.RAIL, source="hwmon"),), "no_headline_rail", "it names none"),
    ([], JETSON.rails, "no_power_source", "looked for rails VDD_IN"),
    ([constant_power(1.0, rail="VDD_SOC")], JETSON.rails, "no_headline_rail", "rails VDD_SOC, but profile test-board"),
    ([trace([0, 1], [-1, -1], rail="VDD_SOC", errors=((0, 13), (1, 13)))], JETSON.rails, "no_power_source", "VDD_IN"),
    ([trace([0, 1], [5, 5], quantity="voltage_v", rail="VDD_SOC")], JETSON.rails, "no_power_source", "VDD_IN"),
    ([trace([0, 1], [5, 5], quantity="voltage_v")], JETSON.rails, "power_unreadable", "voltage_v"),
    ([trace([0, 1], [-1, -1], errors=((0, 13), (1, 13)))], JETSON.rails, "power_unreadable", "errno 13"),
    ([trace([0], [5])], JETSON.rails, "power_unreadable", "fewer than two"),
    ([constant_power(1.0, clock="meter:42")], JETSON.rails, "power_unreadable", "another clock"),
    ([constant_power(1.0, clock="agent:other-boot")], JETSON.rails, "power_unreadable", "another clock"),
    ([trace([0, 1], [5, 5], quantity="temperature_c", rail="VDD_IN")], JETSON.rails, "no_power_source", "VDD_IN"),
])
def test_absence_has_a_code_and_a_reason(traces, rails, code, text):
    headline = headline_of(window(traces=traces), samples.profile(rails=rails))
    assert (headline.code, headline.rails, headline.scope) == (code, (), None)
    assert text in headline.reason


def test_the_reasons_are_plain():
    nothing, others = headline_of(window(), X86), headline_of(window(traces=[constant_counter(1.0, rail="psys")]), X86)
    assert nothing.reason == ("this device has no power sensor that profile test-board counts as its energy "
                              "(looked for rails package-[0-9])")
    assert others.reason.startswith("power was recorded on rails psys, but profile test-board counts none of them")
    assert others.reason.endswith("`lab devices add NAME URL --profile …`")


def test_many_other_rails_are_not_all_listed():
    traces = [constant_power(1.0, rail=f"rail{number}") for number in range(9)]
    reason = headline_of(window(traces=traces), JETSON).reason
    assert "rail5, …" in reason
    assert "rail6" not in reason


def test_one_dead_rail_spoils_the_sum():
    dead = trace([0, 1], [-1, -1], rail="package-1", quantity="energy_j", kind="counter", errors=((0, 5), (1, 5)))
    headline = headline_of(window(traces=[constant_counter(1.0, rail="package-0"), dead]), X86)
    assert headline.code == "power_unreadable"
    assert "package-1" in headline.reason
