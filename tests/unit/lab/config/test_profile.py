"""Profiles: the shipped ones say what they must, and a wrong file is told where and what."""

from fnmatch import fnmatchcase

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from agents.probes import PROBES
from agents.probes.base import Unavailable
from agents.probes.hwmon_power import HwmonPowerProbe
from agents.probes.rapl import RaplProbe
from lab.config.profile import load_profile, profile_from_text, profile_names, profile_sha256
from lab.domain.device import Origin, Scope
from lab.errors import ConfigError, NotFound
from tests.support.sysfs_trees import JETSON_ORIN_NANO, RAPL_LAPTOP, write_tree

SHIPPED = {"x86-host", "linux-sbc", "raspberry-pi-4", "raspberry-pi-5", "jetson-orin-nano", "virtual-pi4"}
MINIMAL = {"name": "board", "title": "A board", "transport": "ssh", "sources": ["https://example.org/manual"]}
VIRTUAL = {**MINIMAL, "title": "A board (virtual)", "transport": "virtual", "origin": "simulated",
           "verified": "virtual", "physics": dict(load_profile("virtual-pi4")[0].physics)}


def made(**changes):
    return profile_from_text(yaml.safe_dump({**MINIMAL, **changes}), "board.yaml", "board")


def refused(data):
    with pytest.raises(ConfigError) as caught:
        profile_from_text(data if isinstance(data, str) else yaml.safe_dump(data, sort_keys=False), "board.yaml",
                          "board")
    return str(caught.value)


def headline_rails(profile, names):
    return [name for name in names
            if any(rail.headline and fnmatchcase(name, rail.name) for rail in profile.rails)]


def test_every_profile_named_in_the_design_is_shipped():
    assert set(profile_names()) == SHIPPED


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_shipped_profiles_load_and_cite_public_sources(name):
    profile, sha256 = load_profile(name)
    assert profile.name == name
    assert len(sha256) == 64
    assert profile.sources
    assert set(profile.probes) <= set(PROBES) | {"memory"}
    assert {rail.source for rail in profile.rails} <= set(PROBES)


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_nothing_is_claimed_to_be_checked_that_was_only_simulated(name):
    profile, _ = load_profile(name)
    is_virtual = profile.transport == "virtual"
    assert profile.verified == ("virtual" if is_virtual else "no")
    assert profile.origin is (Origin.SIMULATED if is_virtual else Origin.MEASURED)
    assert profile.title.endswith("(virtual)") is is_virtual


@pytest.mark.parametrize("name", ["raspberry-pi-4", "raspberry-pi-5"])
def test_boards_without_a_power_sensor_have_no_rail_and_say_what_to_attach(name):
    profile, _ = load_profile(name)
    assert profile.rails == ()
    assert "USB-C inline meter" in profile.recommended_meter


def test_the_host_s_headline_is_its_packages_and_nothing_inside_them(tmp_path):
    profile, _ = load_profile("x86-host")
    channels = RaplProbe().discover(write_tree(tmp_path, RAPL_LAPTOP))
    names = [channel.rail for channel in channels]
    assert headline_rails(profile, names) == ["package-0"]
    assert headline_rails(profile, ["package-1", "package-12", "package-0-die-1", "package-1/dram", "psys"]) == [
        "package-1", "package-12", "package-0-die-1"]
    assert all(any(fnmatchcase(name, rail.name) for rail in profile.rails) for name in names)


def test_the_jetson_s_headline_is_the_module_s_input(tmp_path):
    profile, _ = load_profile("jetson-orin-nano")
    channels = HwmonPowerProbe().discover(write_tree(tmp_path, JETSON_ORIN_NANO))
    names = sorted({channel.rail for channel in channels})
    assert headline_rails(profile, names) == ["VDD_IN"]
    assert {rail.name: rail.scope for rail in profile.rails} == {
        "VDD_IN": Scope.MODULE, "VDD_CPU_GPU_CV": Scope.RAIL, "VDD_SOC": Scope.RAIL}
    assert sorted(rail.name for rail in profile.rails) == names


def test_an_unknown_board_s_rails_are_never_its_headline(tmp_path):
    profile, _ = load_profile("linux-sbc")
    assert not isinstance(HwmonPowerProbe().discover(write_tree(tmp_path, JETSON_ORIN_NANO)), Unavailable)
    assert headline_rails(profile, ["VDD_IN", "ina226/power1"]) == []
    assert [(rail.name, rail.scope) for rail in profile.rails] == [("*", Scope.RAIL)]


def test_defaults_are_the_domain_s():
    profile = made()
    assert profile.verified == "no"
    assert profile.origin is Origin.MEASURED
    assert profile.bootstrap == ("numpy", "onnxruntime")
    assert profile.settle.timeout_ns == 60_000_000_000
    assert profile.limits.opset_max is None


def test_seconds_become_nanoseconds():
    assert made(settle={"timeout_s": 1.5, "temperature_max_c": 55}).settle.timeout_ns == 1_500_000_000


@pytest.mark.parametrize("text", ["no", "'no'", "false"])
def test_the_word_no_may_stand_without_quotes(text):
    data = yaml.safe_dump(MINIMAL) + f"verified: {text}\n"
    assert profile_from_text(data, "board.yaml", "board").verified == "no"


@pytest.mark.parametrize(("changes", "expected"), [
    ({"reils": []}, ["board.yaml:", "reils", "unknown key", "Did you mean 'rails'?"]),
    ({"transport": "shh"}, ["transport", "'shh'", "Did you mean 'ssh'?"]),
    ({"title": 5}, ["title", "expected text", "got 5"]),
    ({"sources": []}, ["sources"]),
    ({"rails": [{"name": "A", "scope": "modul", "source": "rapl"}]},
     ["rails[0].scope", "'modul'", "Did you mean 'module'?"]),
    ({"rails": [{"name": "A", "scope": "rail", "source": "rapl", "headlin": True}]},
     ["rails[0].headlin", "unknown key", "Did you mean 'headline'?"]),
    ({"rails": [{"name": "A", "scope": "rail", "source": "rapl", "headline": "yes please"}]}, ["rails[0].headline"]),
    ({"rails": [{"name": "A", "scope": "rail", "source": "rapl", "gain_limit_ratio": 1.5}]},
     ["rails[0].gain_limit_ratio", "1.5"]),
    ({"rails": [{"name": "A", "scope": "rail"}]}, ["rails[0].source", "expected"]),
    ({"limits": {"opset": 13}}, ["limits.opset", "Did you mean 'opset_max'?"]),
    ({"limits": {"opset_max": "13"}}, ["limits.opset_max", "whole number", "'13'"]),
    ({"limits": {"python_min": "2.7"}}, ["limits.python_min", "'2.7'"]),
    ({"settle": {"timeout_s": -1}}, ["settle.timeout_s", "-1"]),
    ({"settle": {"timeout_ns": 5}}, ["settle.timeout_ns", "Did you mean 'timeout_s'?"]),
    ({"probes": ["rapl; reboot"]}, ["probes[0]", "one word"]),
    ({"verified": "yes"}, ["verified", "'yes'"]),
    ({"name": "Board One"}, ["name", "small letters"]),
    ({"name": "other"}, ["name", "'board'", "'other'"]),
])
def test_a_wrong_file_is_told_where_and_what(changes, expected):
    text = refused({**MINIMAL, **changes})
    assert text.startswith("board.yaml")
    for part in expected:
        assert part in text


@pytest.mark.parametrize("key", ["name", "title", "transport", "sources"])
def test_a_missing_key_is_named(key):
    assert key in refused({name: value for name, value in MINIMAL.items() if name != key})


def test_every_problem_is_told_at_once():
    text = refused({**MINIMAL, "transport": "x", "reils": 1, "limits": {"opset_max": "x"}})
    assert text.count("board.yaml") == 3


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "name: [", "name: a\nname: b\n", "a: &x 1\nb: *x\n"])
def test_text_that_is_no_profile_is_refused(text):
    assert "board.yaml" in refused(text)


def test_headline_rails_of_two_scopes_do_not_add_up():
    rails = [{"name": "A", "scope": "module", "source": "hwmon_power", "headline": True},
             {"name": "B", "scope": "board_dc", "source": "hwmon_power", "headline": True}]
    text = refused({**MINIMAL, "rails": rails})
    assert "board_dc and module" in text
    rails[1]["headline"] = False
    assert len(made(rails=rails).rails) == 2


def test_a_rail_named_twice_is_refused():
    rail = {"name": "A", "scope": "rail", "source": "hwmon_power"}
    assert "rails[1].name" in refused({**MINIMAL, "rails": [rail, rail.copy()]})


@pytest.mark.parametrize(("changes", "key"), [
    ({"origin": "measured"}, "origin"), ({"verified": "no"}, "verified"), ({"physics": {}}, "physics"),
    ({"title": "A board"}, "title"), ({"verified": "board"}, "verified"),
])
def test_a_virtual_board_must_say_that_it_is_one(changes, key):
    assert f" {key}: " in refused({**VIRTUAL, **changes})


@pytest.mark.parametrize(("changes", "key"), [
    ({"origin": "simulated"}, "origin"), ({"verified": "virtual"}, "verified"),
    ({"physics": VIRTUAL["physics"]}, "physics"), ({"title": "A board (virtual)"}, "title"),
])
def test_a_real_board_must_not_look_like_a_virtual_one(changes, key):
    assert f" {key}: " in refused({**MINIMAL, **changes})


@pytest.mark.parametrize(("changes", "expected"), [
    ({"idle_w": -1.0}, "physics.idle_w"), ({"gravity": 9.8}, "physics.gravity: unknown"),
    ({"idle_w": None}, "physics.idle_w"),
])
def test_physics_that_cannot_be_is_refused(changes, expected):
    text = refused({**VIRTUAL, "physics": {**VIRTUAL["physics"], **changes}})
    assert "board.yaml:" in text
    assert expected in text


def test_the_user_s_own_profile_goes_before_the_shipped_one(tmp_path):
    shipped, sha256 = load_profile("linux-sbc")
    (tmp_path / "linux-sbc.yaml").write_text(yaml.safe_dump({**MINIMAL, "name": "linux-sbc"}))
    own, own_sha256 = load_profile("linux-sbc", tmp_path)
    assert own.title == "A board"
    assert own_sha256 != sha256
    assert load_profile("linux-sbc", tmp_path / "missing") == (shipped, sha256)


def test_names_include_the_user_s_own(tmp_path):
    (tmp_path / "my-board.yaml").write_text("")
    (tmp_path / "Not A Name.yaml").write_text("")
    (tmp_path / "notes.txt").write_text("")
    assert set(profile_names(tmp_path)) == SHIPPED | {"my-board"}


def test_errors_in_the_user_s_own_file_name_its_path(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\n")
    with pytest.raises(ConfigError) as caught:
        load_profile("mine", tmp_path)
    assert str(path) in str(caught.value)


def test_an_own_file_that_is_no_text_is_told(tmp_path):
    (tmp_path / "mine.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="UTF-8"):
        load_profile("mine", tmp_path)


@pytest.mark.parametrize(("name", "hint"), [("rasberry-pi-4", "Did you mean 'raspberry-pi-4'?"), ("zzz", "Known")])
def test_an_unknown_name_gets_the_closest_one(name, hint):
    with pytest.raises(NotFound) as caught:
        load_profile(name)
    assert hint in str(caught.value)


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "", "a/b", "x86-host.yaml", "X86-HOST", "a" * 65])
def test_a_name_cannot_leave_the_folder(name, tmp_path):
    (tmp_path / "secret.yaml").write_text(yaml.safe_dump({**MINIMAL, "name": "secret"}))
    inner = tmp_path / "inner"
    inner.mkdir()
    with pytest.raises(NotFound):
        load_profile(name, inner)


def test_the_hash_is_of_what_is_said_not_of_how():
    text = yaml.safe_dump(MINIMAL)
    spread = "# a comment\n" + yaml.safe_dump(dict(reversed(MINIMAL.items())), sort_keys=False, indent=8)
    explicit = text + "verified: 'no'\norigin: measured\nrails: []\n"
    hashes = {profile_sha256(profile_from_text(each, "board.yaml", "board")) for each in (text, spread, explicit)}
    assert len(hashes) == 1


@pytest.mark.parametrize("changes", [
    {"title": "Another"}, {"verified": "board"}, {"limits": {"opset_max": 13}}, {"settle": {"temperature_max_c": 1}},
    {"rails": [{"name": "A", "scope": "rail", "source": "rapl"}]}, {"sources": ["https://example.org/other"]},
])
def test_the_hash_changes_with_anything_said(changes):
    assert profile_sha256(made(**changes)) != profile_sha256(made())


@given(value=st.integers(min_value=0, max_value=1000))
def test_whole_numbers_and_fractions_hash_alike(value):
    def rails(limit):
        return [{"name": "A", "scope": "rail", "source": "rapl", "resolution_w": limit}]

    assert profile_sha256(made(rails=rails(value))) == profile_sha256(made(rails=rails(float(value))))


@given(text=st.text(max_size=200))
def test_any_text_is_either_a_profile_or_a_config_error(text):
    with pytest.raises(ConfigError):
        profile_from_text(text, "board.yaml", "board")
