"""Campaign files: what they mean, what is refused and how it is told, and the way back to text."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.runtimes import RUNTIMES
from lab.config.campaign import campaign_from_text, campaign_to_yaml, demo_campaign, load_campaign, login_name
from lab.domain.campaign import (
    PROTOCOLS,
    Campaign,
    Constraints,
    Load,
    Protocol,
    Settings,
    StepSpec,
    Technique,
)
from lab.errors import ConfigError

ROOT = Path(__file__).resolve().parents[4]
BASE = """\
name: first
workload: digits
devices: [local]
techniques:
  prune-50: [{prune_channels: {ratio: 0.5}}]
  int8: [quantize_static]
protocol: quick
"""
S = 1_000_000_000


def read(text, base_dir=Path("/nowhere")):
    return campaign_from_text(text, "c.yaml", base_dir)


def changed(old, new):
    assert old in BASE
    return BASE.replace(old, new, 1)


def refused(text):
    with pytest.raises(ConfigError) as caught:
        read(text)
    return str(caught.value)


def test_a_short_file_means_every_default():
    """Baseline first, one setting, one seed, no limits, owned by who is logged in."""
    assert read(BASE) == Campaign(
        name="first", owner=login_name(), workload="digits", devices=("local",), seeds=(0,), settings=(Settings(),),
        protocol=PROTOCOLS["quick"], constraints=Constraints(),
        techniques=(Technique(name="baseline"),
                    Technique(name="prune-50", steps=(StepSpec(name="prune_channels", params=(("ratio", 0.5),)),)),
                    Technique(name="int8", steps=(StepSpec(name="quantize_static"),))))


def test_units_people_write_become_si():
    """Milliseconds, megabytes and seconds end at this edge."""
    campaign = read(BASE + """
constraints: {accuracy_drop_max: 0.02, latency_p99_max_ms: 5, memory_max_mb: 100, power_max_w: 3}
settings: {load: {kind: paced, rate_hz: 40, deadline_ms: 12.5}}
owner: Ada Lovelace
""")
    assert campaign.constraints == Constraints(accuracy_drop_max_ratio=0.02, latency_p99_max_ns=5_000_000,
                                               memory_max_bytes=100_000_000, power_max_w=3.0)
    assert campaign.settings == (Settings(load=Load(kind="paced", rate_hz=40.0, deadline_ns=12_500_000)),)
    assert campaign.owner == "Ada Lovelace"


def test_a_paced_load_has_a_period_as_its_deadline():
    """Each inference is to be done before the next one arrives."""
    campaign = read(BASE + "settings: {load: {kind: paced, rate_hz: 40}}\n")
    assert campaign.settings[0].load.deadline_ns == 25_000_000


def test_lists_of_settings_expand_to_every_combination():
    """The last key varies fastest; entries of a list of settings follow one another."""
    campaign = read(BASE + "settings:\n- {threads: [1, 2], batch: [1, 8]}\n- {threads: 4}\n")
    assert [(item.threads, item.batch) for item in campaign.settings] == [(1, 1), (1, 8), (2, 1), (2, 8), (4, 1)]


def test_a_protocol_is_a_preset_with_changes():
    """What is not given stays the preset's."""
    text = "protocol: {preset: standard, window_s: 5, blocks_max: 8, budget_s: 60}"
    campaign = read(changed("protocol: quick", text))
    assert campaign.protocol == Protocol(
        preset="standard", window_ns=5 * S, warmup_ns=2 * S, idle_ns=30 * S, inferences_min=100, sample_rate_hz=50.0,
        target_ci_ratio=0.05, blocks_min=6, blocks_max=8, budget_ns=60 * S)


@pytest.mark.parametrize(("text", "params"), [
    ("[{quantize_static: {per_channel: true}}]", (("per_channel", True),)),
    ("[{quantize_static: }]", ()),
    ("[{quantize_static: {op_types: [Conv, Gemm]}}]", (("op_types", ("Conv", "Gemm")),)),
])
def test_parameters_arrive_as_plain_values(text, params):
    """Lists become tuples, so that a technique can be hashed."""
    campaign = read(changed("int8: [quantize_static]", f"int8: {text}"))
    assert campaign.techniques[2].steps == (StepSpec(name="quantize_static", params=params),)


def test_an_explicit_empty_baseline_is_the_one_that_is_always_there():
    """Saying it changes nothing."""
    assert read(BASE.replace("techniques:\n", "techniques:\n  baseline: []\n")) == read(BASE)
    assert [item.name for item in read(BASE.partition("techniques")[0] + "techniques: {}\nprotocol: quick\n").techniques
            ] == ["baseline"]


@pytest.mark.parametrize(("old", "new", "expected"), [
    ("protocol: quick", "protocoll: quick", "c.yaml:7: protocoll: unknown key. Did you mean 'protocol'?"),
    ("protocol: quick\n", "", "c.yaml:1: protocol: expected, but the file does not have it"),
    ("protocol: quick", "protocol: quik",
     "c.yaml:7: protocol.preset: expected 'quick', 'standard' or 'publish', got 'quik'. Did you mean 'quick'?"),
    ("protocol: quick", "protocol: {preset: quick,\n  window: 3}",
     "c.yaml:8: protocol.window: unknown key. Did you mean 'window_s'?"),
    ("protocol: quick", "protocol: {preset: standard, window_s: 1e-1}",
     "c.yaml:7: protocol.window_s: expected a number, got '1e-1'. YAML reads it as text: write 0.1"),
    ("protocol: quick", "protocol: {preset: standard, window_s: .inf}", "protocol.window_s: expected"),
    ("protocol: quick", "protocol: {preset: standard, blocks_max: 3}",
     "protocol: expected blocks_min ≤ blocks_max, got 6 and 3"),
    ("protocol: quick", "protocol: {window_s: 5}", "protocol.preset: expected, but the file does not have it"),
    ("int8: [quantize_static]", "int8: [quantize_statik]", "c.yaml:6: techniques.int8[0].quantize_statik: unknown"),
    ("int8: [quantize_static]", "int8: [quantize_statik]", "did you mean 'quantize_static'?"),
    ("int8: [quantize_static]", "int8:\n  - quantize_static:\n      per_chanel: true",
     "c.yaml:8: techniques.int8[0].quantize_static.per_chanel: "),
    ("int8: [quantize_static]", "int8: [{quantize_static: {per_chanel: true}}]", "did you mean 'per_channel'?"),
    ("int8: [quantize_static]", "int8: [{quantize_static: {per_channel: 3}}]",
     "techniques.int8[0].quantize_static.per_channel: step quantize_static: per_channel: expected true or false"),
    ("int8: [quantize_static]", "int8: [{distill: {width_ratio: 7}}]", "techniques.int8[0].distill.width_ratio: "),
    ("int8: [quantize_static]", "int8: [{quantize_static: 3}]", "expected parameters (keys with values), got 3"),
    ("int8: [quantize_static]", "int8: [{quantize_static: {per_channel: {a: 1}}}]",
     "techniques.int8[0].quantize_static.per_channel: expected a number, text, true, false or a list of these"),
    ("int8: [quantize_static]", 'int8: [{quantize_static: {op_types: [Conv, "a\\nb"]}}]',
     "techniques.int8[0].quantize_static.op_types[1]: expected printable characters, got 'a\\nb'"),
    ("int8: [quantize_static]", "int8: [{prune_channels: {ratio: .nan}}]", "expected a finite number, got nan"),
    ("int8: [quantize_static]", "int8: [{quantize_static: {}, distill: {}}]", "expected a step's name, or one name"),
    ("int8: [quantize_static]", "int8: [3]", "c.yaml:6: techniques.int8[0]: expected a step's name"),
    ("int8: [quantize_static]", "int8: quantize_static", "c.yaml:6: techniques.int8: expected a list"),
    ("int8: [quantize_static]", "int8: []", "techniques.int8: expected at least one step, got none"),
    ("int8: [quantize_static]", "int8: [quantize_static, distill]", "c.yaml:6: techniques.int8: "),
    ("int8: [quantize_static]", "int8: [{prune_channels: {ratio: 0.5}}]",
     "techniques.int8: expected other steps than techniques.prune-50 has"),
    ("int8: [quantize_static]", "baseline: [quantize_static]", "techniques.baseline: the name is taken"),
    ("int8: [quantize_static]", "in t8: [quantize_static]", "techniques.in t8: expected a name of up to 64 letters"),
    ("int8: [quantize_static]", "prune-50: [quantize_static]", "c.yaml:6: techniques.prune-50: the key is there twice"),
    ("name: first", "name: ../x", "c.yaml:1: name: expected a name of up to 64 letters"),
    ("name: first", "name: 7", "c.yaml:1: name: expected text, got 7. Put it in quotes."),
    ("name: first", "name: first\nowner: no", "YAML reads yes, no, on and off as true or false"),
    ("name: first", 'name: first\nowner: "a\\tb"', "c.yaml:2: owner: expected 1 to 64 printable characters"),
    ("workload: digits", "workload: digit", "c.yaml:2: workload: expected a built-in name (digits)"),
    ("workload: digits", "workload: m.py:x", "expected a file at /nowhere/m.py (relative paths start at /nowhere)"),
    ("workload: digits", "workload: m.onnx+d.npz", "workload: expected a file at /nowhere/m.onnx"),
    ("devices: [local]", "devices: []", "devices: expected at least one entry, got []"),
    ("devices: [local]", "devices: [local, local]", "devices: expected each value once, got 'local' twice"),
    ("devices: [local]", "devices: [local, 3]", "c.yaml:3: devices[1]: expected text, got 3"),
    ("devices: [local]", "devices: {local: 1}", "devices: expected text"),
])
def test_each_mistake_names_line_key_expectation_and_finding(old, new, expected):
    """A typo ends before any device is touched."""
    assert expected in refused(changed(old, new))


@pytest.mark.parametrize(("extra", "expected"), [
    ("seeds: [1, -1]", "seeds[1]: expected a number greater than or equal to 0"),
    ("seeds: 1.5", "c.yaml:8: seeds: expected a whole number, got 1.5"),
    ("seeds: true", "seeds: expected a whole number, got True"),
    ("settings: {thread: 1}", "settings.thread: unknown key. Did you mean 'threads'?"),
    ("settings: [{threads: 1}, {thread: 1}]", "settings[1].thread: unknown key"),
    ("settings: [{threads: 1}, {batch: 1}]", "settings[1]: expected each combination"),
    ("settings: {threads: 0}", "settings.threads: expected a number greater than"),
    ("settings: {runtime: onnxruntime}", "Did you mean 'onnx_runtime'?"),
    ("settings: {load: paced}", "settings.load: paced: expected rate_hz"),
    ("settings: {load: {kind: back_to_back, rate_hz: 3}}", "takes neither rate_hz"),
    ("settings: {load: {kind: paced, rate: 3}}", "settings.load.rate: unknown key"),
    ('settings: {device_state: {governor: "a\\Nb"}}', "governor: expected 1 to 64 printable characters, got 'a\\x85b'"),
    ("settings: {device_state: {turbo: off}}", "settings.device_state.turbo: expected"),
    ("constraints: {accuracy_drop_max: 2}", "less than or equal to 1, got 2"),
    ("constraints: {latency_max_ms: 2}", "Did you mean 'latency_p99_max_ms'?"),
    ("constraints: 3", "constraints: expected keys with values, got 3"),
])
def test_each_mistake_in_what_may_be_left_out_is_told_alike(extra, expected):
    """Seeds, settings and constraints."""
    assert expected in refused(f"{BASE}{extra}\n")


@pytest.mark.parametrize("text", ["", "- a", "just text", "3"])
def test_a_file_that_is_no_mapping_is_refused(text):
    """Whatever else YAML can say."""
    assert "expected keys with values" in refused(text)


def test_all_mistakes_are_told_at_once_in_the_files_order():
    """One correction round, not five."""
    text = BASE.replace("devices: [local]", "devices: 3").replace("quick", "quik") + "extra: 1\n"
    lines = refused(text).splitlines()
    assert [line.split(": ")[0] for line in lines] == ["c.yaml:3", "c.yaml:7", "c.yaml:8"]


def test_very_many_mistakes_are_counted():
    """Nobody reads fifty lines."""
    text = BASE + "".join(f"extra{index}: 1\n" for index in range(50))
    lines = refused(text).splitlines()
    assert len(lines) == 11
    assert lines[-1] == "… and 40 more"


def test_paths_are_relative_to_the_file(tmp_path):
    """A campaign can be run from anywhere; what it holds is absolute."""
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "mine.py").write_text("")
    file = tmp_path / "c.yaml"
    file.write_text(changed("digits", "models/mine.py:make"))
    assert load_campaign(file).workload == f"{tmp_path}/models/mine.py:make"


def test_unreadable_files_are_config_errors(tmp_path):
    """Missing, a folder, not text."""
    with pytest.raises(ConfigError, match=r"none.yaml: the campaign file cannot be read \(No such file"):
        load_campaign(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="Is a directory"):
        load_campaign(tmp_path)
    (tmp_path / "binary.yaml").write_bytes(b"name: \xff")
    with pytest.raises(ConfigError, match="expected UTF-8 text"):
        load_campaign(tmp_path / "binary.yaml")


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.yaml")), ids=lambda path: path.name)
def test_every_example_is_valid_and_survives_the_way_to_text_and_back(path):
    """Examples are the first thing people copy."""
    campaign = load_campaign(path)
    assert campaign.techniques[0].is_baseline
    assert len(campaign.techniques) > 2
    assert campaign_from_text(campaign_to_yaml(campaign), "again", ROOT) == campaign


def test_the_demo_is_shipped_small_and_one_technique_of_each_family():
    """`lab demo` needs nothing but the package."""
    campaign, text = demo_campaign()
    assert campaign.name in text
    assert campaign.devices == ("local", "virtual-pi4")
    assert campaign.protocol == PROTOCOLS["quick"]
    assert {step.name for technique in campaign.techniques for step in technique.steps} == {
        "prune_channels", "quantize_static", "distill", "factorize_svd"}
    assert '"config/demo.yaml"' in (ROOT / "pyproject.toml").read_text()


def test_reading_a_campaign_loads_no_heavy_library():
    """Submitting and the board's forms must be quick."""
    script = ("import sys; from lab.config.campaign import demo_campaign; demo_campaign(); "
              "print(sorted({'torch', 'onnx', 'onnxruntime', 'sklearn', 'scipy', 'pandas', 'streamlit'} "
              "& set(sys.modules)))")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    assert ast.literal_eval(done.stdout) == []


def test_runtimes_a_file_may_name_are_those_the_agent_measures_with():
    """The lab may not import the agent, so this keeps the two lists the same; `no_op` only tests the instrument."""
    with pytest.raises(ConfigError) as caught:
        read(BASE + "settings: {runtime: x}\n")
    measuring = set(RUNTIMES) - {"no_op"}
    assert measuring == set(re.findall(r"'(\w+)'", str(caught.value))) - {"x"}


NAMES = st.from_regex(r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,11}", fullmatch=True)
POSITIVE_MS = st.integers(1, 10**9).map(lambda value: value / 1e6)


def unique(values, **sizes):
    return st.lists(values, unique=True, **sizes).map(tuple)


def ns(low, high):
    return st.integers(low, high)


LOADS = st.just(Load()) | st.builds(Load, kind=st.just("paced"), rate_hz=st.floats(0.01, 10**6),
                                    deadline_ns=st.integers(1000, 3600 * S))
TEXTS = st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=5)
STATES = st.dictionaries(NAMES, TEXTS, max_size=2).map(lambda state: tuple(sorted(state.items())))
SETTINGS = st.builds(Settings, threads=st.integers(1, 1024), batch=st.integers(1, 4096), load=LOADS,
                     device_state=STATES)
PROTOCOL = st.builds(
    Protocol, preset=st.sampled_from(["quick", "standard", "publish"]), window_ns=ns(S // 100, 3600 * S),
    warmup_ns=ns(0, 3600 * S), idle_ns=ns(0, 3600 * S), inferences_min=st.integers(1, 10**9),
    sample_rate_hz=st.floats(0.001, 10_000), target_ci_ratio=st.floats(0.001, 0.999), blocks_min=st.integers(1, 10),
    blocks_max=st.integers(10, 1000), budget_ns=st.none() | ns(1, 86_400 * S), order_seed=st.integers(0, 2**31 - 1))
CONSTRAINTS = st.builds(
    Constraints, accuracy_drop_max_ratio=st.none() | st.floats(0, 1), power_max_w=st.none() | st.floats(0.001, 1e6),
    latency_p99_max_ns=st.none() | st.integers(1, 10**15), memory_max_bytes=st.none() | st.integers(1, 10**15))
STEPS = st.sampled_from([
    StepSpec(name="quantize_static"), StepSpec(name="quantize_static", params=(("per_channel", True),)),
    StepSpec(name="prune_channels", params=(("ratio", 0.25),)), StepSpec(name="distill"),
    StepSpec(name="factorize_svd", params=(("energy", 0.9),))])


@st.composite
def campaigns(draw):
    techniques = draw(st.dictionaries(NAMES.filter(lambda name: name != "baseline"), STEPS, max_size=4))
    distinct = {repr(step): (name, step) for name, step in techniques.items()}.values()
    return Campaign(
        name=draw(NAMES), owner=draw(TEXTS), workload="digits",
        techniques=(Technique(name="baseline"), *(Technique(name=name, steps=(step,)) for name, step in distinct)),
        seeds=draw(unique(st.integers(0, 2**31 - 1), min_size=1, max_size=3)),
        devices=draw(unique(NAMES, min_size=1, max_size=3)),
        settings=draw(unique(SETTINGS, min_size=1, max_size=3)),
        protocol=draw(PROTOCOL), constraints=draw(CONSTRAINTS))


@given(campaigns())
def test_text_made_from_a_campaign_reads_as_the_same_campaign(campaign):
    """Nothing is lost on the way to a file and back: not a name like `no`, not a nanosecond."""
    assert campaign_from_text(campaign_to_yaml(campaign), "c.yaml", ROOT) == campaign
