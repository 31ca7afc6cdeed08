"""A recording from a device is either a sound window or a ProtocolMismatch that names what is wrong."""

import copy
import math
from array import array

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from agents.wire.recording import unpack_recording
from lab.domain.flags import Severity
from lab.domain.recording import Mark, Window
from lab.domain.window_codec import MARKS, window_from_recording
from lab.errors import ProtocolMismatch
from tests.support import samples

S = samples.S


def decoded(header=None, arrays=None):
    header = samples.header(traces=[samples.power_trace()]) if header is None else header
    return window_from_recording(header, samples.arrays() if arrays is None else arrays, "sha")


def changed(**changes):
    return samples.header(**({"traces": [samples.power_trace()]} | changes))


def test_a_sound_window_comes_through_whole():
    window = decoded()
    assert (window.kind, window.block_id, window.attempt, window.position) == ("window", "block-1", 0, 1)
    assert window.latency_ns.tolist() == [1_000_000, 1_100_000, 1_200_000, 5_000_000]
    assert (window.load_ns, window.first_inference_ns, window.cpu_ns) == (30_000_000, 4_000_000, 900_000_000)
    assert window.memory_bytes == (("rss_baseline_bytes", 50_000_000), ("rss_peak_bytes", 70_000_000))
    assert window.state_before.temperatures_c == (("cpu", 40.5),)
    assert window.state_after.frequencies_hz == (("cpu0", 1_500_000_000),)
    assert window.marks[-1] == Mark(name="window_end", t_ns=11 * S)
    assert (window.sampler_cpu_ns, window.error, window.sha256) == (5_000_000, None, "sha")
    assert window.runtime_facts == (("onnxruntime", "1.22"),)


def test_a_trace_comes_through_whole():
    trace_header = samples.power_trace(errors=[[3, 5], [7, 13]], dropped=2, interval_ns=100_000_000, wrap_at=2**64)
    (trace,) = decoded(changed(traces=[trace_header])).traces
    assert (trace.rail, trace.quantity, trace.kind, trace.clock) == ("VDD_IN", "power_w", "sample", "agent:boot-1")
    assert (trace.scale, trace.wrap_at, trace.interval_ns, trace.dropped) == (1e-6, 2**64, 100_000_000, 2)
    assert trace.errors == ((3, 5), (7, 13))
    assert (len(trace.t_ns), len(trace.raw), len(trace.read_span_ns)) == (31, 31, 31)


def test_an_idle_comes_through():
    window = decoded(samples.idle_header(), {})
    assert (window.kind, window.cell_id, window.inferences, len(window.latency_ns)) == ("idle", None, 0, 0)


def test_a_window_says_which_artifact_it_measured():
    assert decoded(changed(artifact_sha256="0123456789abcdef" * 4)).artifact_sha256 == "0123456789abcdef" * 4


@pytest.mark.parametrize("header", [
    {}, {"artifact_sha256": None}, {"kind": "idle"}, {"kind": "idle", "artifact_sha256": None}])
def test_older_agents_and_idles_name_no_artifact(header):
    is_idle = header.pop("kind", None) == "idle"
    window = decoded(samples.idle_header(**header), {}) if is_idle else decoded(changed(**header))
    assert window.artifact_sha256 is None


@pytest.mark.parametrize("sha256", ["", "a" * 63, "a" * 65, "A" * 64, "a" * 63 + "g", "a" * 64 + "\n",
                                    "\x1b[0m" + "a" * 64, 7, ["a" * 64], b"a" * 64])
def test_an_artifact_that_is_no_hash_is_refused(sha256):
    with pytest.raises(ProtocolMismatch, match="artifact_sha256"):
        decoded(changed(artifact_sha256=sha256))


def test_an_idle_measures_no_artifact():
    with pytest.raises(ProtocolMismatch, match="null for an idle"):
        decoded(samples.idle_header(artifact_sha256="a" * 64), {})


def test_bytes_from_the_wire_are_read():
    header, arrays = unpack_recording(samples.recording())
    assert decoded(header, arrays).inferences == 4


def test_arrays_are_copied_and_cannot_be_changed():
    arrays = samples.arrays()
    window = decoded(arrays=arrays)
    arrays["latency_ns"][0] = 7
    assert window.latency_ns[0] == 1_000_000
    with pytest.raises(ValueError, match="read-only"):
        window.latency_ns[0] = 7


def test_numpy_arrays_serve_as_well():
    arrays = {name: np.array(values, dtype=np.int64) for name, values in samples.arrays().items()}
    assert decoded(arrays=arrays).latency_ns.dtype == np.int64


def test_what_may_be_absent_is_none():
    header = changed(traces=[])
    for key in ("deadline_misses", "load_ns", "first_inference_ns", "cpu_ns", "memory", "state_before", "state_after",
                "sampler", "runtime", "flags", "error", "traces"):
        del header[key]
    window = decoded(header)
    assert (window.load_ns, window.cpu_ns, window.deadline_misses, window.sampler_cpu_ns) == (None,) * 4
    assert (window.memory_bytes, window.flags, window.traces, window.state_after.temperatures_c) == ((),) * 4


def test_a_window_that_died_needs_no_end_and_no_full_latencies():
    header = changed(error={"code": "worker_died", "message": "killed by signal 9"},
                     marks=samples.header()["marks"][:3])
    window = decoded(header, samples.arrays(latency_ns=array("q", [5])))
    assert window.error == "worker_died: killed by signal 9"
    assert window.mark_ns("window_start") is None


def test_a_flag_comes_through_clean():
    flag = {"code": "throttled", "severity": "degraded", "detail": "cpu0\x1b[31m fell\nto 600 MHz", "touched_ns": 5}
    (found,) = decoded(changed(flags=[flag])).flags
    assert (found.code, found.severity, found.touched_ns) == ("throttled", Severity.DEGRADED, 5)
    assert found.detail == "cpu0 fell to 600 MHz"


def test_device_text_is_cleaned_and_capped():
    header = changed(error={"code": "boom", "message": "\x1b]0;title\x07bad \x00\u202e" + "x" * 5000},
                     runtime={"pro\x1b[2Jvider": "CPU\x07"})
    window = decoded(header)
    assert window.error.startswith("boom: bad xxx")
    assert len(window.error) <= 400
    assert window.runtime_facts == (("provider", "CPU"),)


@pytest.mark.parametrize(("change", "named"), [
    ({"format": 2}, "format"),
    ({"format": True}, "format"),
    ({"kind": "party"}, "kind"),
    ({"block_id": "../../etc"}, "block_id"),
    ({"block_id": ""}, "block_id"),
    ({"cell_id": None}, "cell_id"),
    ({"cell_id": "a b"}, "cell_id"),
    ({"attempt": -1}, "attempt"),
    ({"attempt": 0.0}, "attempt"),
    ({"position": None}, "position"),
    ({"boot_id": 5}, "boot_id"),
    ({"boot_id": "\x00"}, "boot_id"),
    ({"started_utc": "yesterday"}, "started_utc"),
    ({"started_utc": "2030-13-31T12:00:00Z"}, "started_utc"),
    ({"started_utc": "2030-01-31T12:00:00+02:00"}, "started_utc"),
    ({"marks": []}, "marks"),
    ({"marks": {"window_start": 1}}, "marks"),
    ({"marks": [{"name": "window_end", "t_ns": 5}, {"name": "window_start", "t_ns": 6}]}, r"marks\[1\].name"),
    ({"marks": [{"name": "window_start", "t_ns": 6}, {"name": "window_end", "t_ns": 5}]}, r"marks\[1\].t_ns"),
    ({"marks": [{"name": "window_start", "t_ns": 5}, {"name": "window_end", "t_ns": 5}]}, r"marks\[1\].t_ns"),
    ({"marks": [{"name": "lunch", "t_ns": 5}]}, r"marks\[0\].name"),
    ({"marks": [{"name": "window_start", "t_ns": "5"}]}, r"marks\[0\].t_ns"),
    ({"marks": [7]}, r"marks\[0\]"),
    ({"inferences": 3}, "latency_ns"),
    ({"inferences": 10**12}, "inferences"),
    ({"inferences": "4"}, "inferences"),
    ({"deadline_misses": -1}, "deadline_misses"),
    ({"load_ns": 2**63}, "load_ns"),
    ({"cpu_ns": math.nan}, "cpu_ns"),
    ({"memory": {"rss_peak_bytes": -5}}, "memory.rss_peak_bytes"),
    ({"memory": []}, "memory"),
    ({"memory": {f"k{at}": 1 for at in range(40)}}, "memory"),
    ({"state_before": {"temperatures_c": {"cpu": math.inf}}}, "temperatures_c.cpu"),
    ({"state_before": {"temperatures_c": {"cpu": "hot"}}}, "temperatures_c.cpu"),
    ({"state_after": {"frequencies_hz": {"cpu0": 1.5e9}}}, "frequencies_hz.cpu0"),
    ({"sampler": 5}, "sampler"),
    ({"runtime": {"x": 5}}, "runtime.x"),
    ({"flags": [{"code": "made_up", "severity": "info", "detail": ""}]}, r"flags\[0\].code"),
    ({"flags": [{"code": "throttled", "severity": "bad", "detail": ""}]}, r"flags\[0\].severity"),
    ({"flags": [{"code": "throttled", "severity": "info", "detail": 5}]}, r"flags\[0\].detail"),
    ({"error": "boom"}, "error"),
    ({"error": {"code": None}}, "error.code"),
    ({"traces": [{}]}, r"traces\[0\].t"),
    ({"traces": 5}, "traces"),
    ({"traces": [5]}, r"traces\[0\]"),
])
def test_a_wrong_header_field_is_named(change, named):
    with pytest.raises(ProtocolMismatch, match=named):
        decoded(changed(**change))


@pytest.mark.parametrize(("change", "named"), [
    ({"rail": ""}, "rail"),
    ({"quantity": "torque_nm"}, "quantity"),
    ({"kind": "guess"}, "kind"),
    ({"clock": None}, "clock"),
    ({"scale": 0}, "scale"),
    ({"scale": -1e-6}, "scale"),
    ({"scale": math.nan}, "scale"),
    ({"scale": math.inf}, "scale"),
    ({"scale": 10**400}, "scale"),
    ({"wrap_at": 0}, "wrap_at"),
    ({"wrap_at": 2**65}, "wrap_at"),
    ({"interval_ns": 0}, "interval_ns"),
    ({"dropped": -1}, "dropped"),
    ({"t": "nowhere"}, "t"),
    ({"t": "latency_ns"}, r"traces\[0\]"),
    ({"raw": None}, "raw"),
    ({"errors": [[31, 5]]}, r"errors\[0\].index"),
    ({"errors": [[5, 5], [5, 5]]}, r"errors\[1\].index"),
    ({"errors": [[-1, 5]]}, r"errors\[0\].index"),
    ({"errors": [[1]]}, r"errors\[0\].index"),
    ({"errors": [[1, "EIO"]]}, r"errors\[0\].errno"),
    ({"errors": "all"}, "errors"),
])
def test_a_wrong_trace_field_is_named(change, named):
    with pytest.raises(ProtocolMismatch, match=named):
        decoded(changed(traces=[samples.power_trace(**change)]))


@pytest.mark.parametrize(("name", "values", "named"), [
    ("latency_ns", array("q", [1, 2, 3, -1]), "latency_ns"),
    ("latency_ns", array("q", [1, 2, 3, 2**62]), "latency_ns"),
    ("latency_ns", array("i", [1, 2, 3, 4]), "latency_ns"),
    ("latency_ns", [1, 2, 3, 4], "latency_ns"),
    ("latency_ns", np.zeros((2, 2), dtype=np.int64), "latency_ns"),
    ("warmup_latency_ns", array("q", [-5]), "warmup_latency_ns"),
    ("trace0_t", array("q", [9 * S] * 31), r"traces\[0\].t"),
    ("trace0_t", array("q", range(0, -31, -1)), r"traces\[0\].t"),
    ("trace0_t", array("q", range(-1, 30)), r"traces\[0\].t"),
    ("trace0_t", array("q", range(30)), r"traces\[0\]"),
    ("trace0_span", array("q", [-1] * 31), r"traces\[0\].span"),
])
def test_wrong_arrays_are_named(name, values, named):
    with pytest.raises(ProtocolMismatch, match=named):
        decoded(arrays=samples.arrays(**{name: values}))


def test_a_counter_may_not_be_negative_except_where_its_read_failed():
    raw = array("q", [5] * 31)
    raw[4] = -1
    header = samples.power_trace(quantity="energy_j", kind="counter")
    with pytest.raises(ProtocolMismatch, match=r"traces\[0\].raw"):
        decoded(changed(traces=[header]), samples.arrays(trace0_raw=raw))
    window = decoded(changed(traces=[header | {"errors": [[4, 5]]}]), samples.arrays(trace0_raw=raw))
    assert window.traces[0].errors == ((4, 5),)


def test_a_sample_may_be_negative():
    """A battery's current is, while it is charged."""
    window = decoded(arrays=samples.arrays(trace0_raw=array("q", [-5] * 31)))
    assert window.traces[0].raw[0] == -5


@pytest.mark.parametrize(("change", "named"), [
    ({"cell_id": "abc"}, "cell_id"),
    ({"inferences": 1}, "inferences"),
    ({"marks": [{"name": "load_start", "t_ns": 1}]}, r"marks\[0\].name"),
])
def test_an_idle_has_no_cell_no_inferences_and_two_marks(change, named):
    with pytest.raises(ProtocolMismatch, match=named):
        decoded(samples.idle_header() | change, {})


@pytest.mark.parametrize("header", [None, 5, "text", [], {5: 1}])
def test_a_header_that_is_no_object_is_refused(header):
    with pytest.raises(ProtocolMismatch):
        window_from_recording(header, {}, "sha")


def test_the_error_shows_the_value_short_and_clean():
    with pytest.raises(ProtocolMismatch) as caught:
        decoded(changed(kind="\x1b[31m" + "x" * 100_000))
    assert len(str(caught.value)) < 400
    assert "\x1b" not in str(caught.value)


leaves = (st.none() | st.booleans() | st.integers() | st.integers(10**300, 10**310) | st.floats() | st.text()
          | st.sampled_from([*MARKS, "window", "idle", "latency_ns", "trace0_t", "counter", "energy_j", -1, 2**63]))
junk = st.recursive(leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
                    max_leaves=8)


def places(value, here=()):
    """Every path into nested lists and objects."""
    found = [here] if here else []
    if isinstance(value, dict):
        for key in value:
            found += places(value[key], (*here, key))
    elif isinstance(value, list):
        for at, item in enumerate(value):
            found += places(item, (*here, at))
    return found


FULL = samples.header(
    traces=[samples.power_trace(errors=[[3, 5]]), samples.power_trace(quantity="energy_j", kind="counter")],
    flags=[{"code": "throttled", "severity": "info", "detail": "cpu0"}], deadline_misses=1,
    error={"code": "x", "message": "y"})


@st.composite
def mutated_headers(draw):
    header = copy.deepcopy(draw(st.sampled_from([FULL, FULL | {"error": None}, samples.idle_header()])))
    for _ in range(draw(st.integers(1, 3))):
        *path, last = draw(st.sampled_from(places(header) or [("format",)]))
        inner = header
        for step in path:
            inner = inner[step]
        action = draw(st.sampled_from(["replace", "remove", "repeat"]))
        if action == "remove" and last in (inner if isinstance(inner, dict) else range(len(inner))):
            del inner[last]
        elif action == "repeat" and isinstance(inner, list):
            inner.append(copy.deepcopy(inner[last]))
        else:
            inner[last] = draw(junk)
    return header


def window_or_mismatch(header, arrays):
    refusal = None
    try:
        window = window_from_recording(header, arrays, "sha")
    except ProtocolMismatch as error:
        refusal = str(error)
    if refusal is not None:
        assert len(refusal) < 1500
        assert refusal.isprintable()
        return
    assert isinstance(window, Window)
    texts = [window.boot_id, window.error or "", *(text for pair in window.runtime_facts for text in pair),
             *(flag.detail for flag in window.flags), *(trace.rail for trace in window.traces)]
    assert all(len(text) <= 400 and text.isprintable() for text in texts)
    assert len(window.latency_ns) == window.inferences or window.error


@hypothesis_settings(max_examples=500)
@given(mutated_headers())
def test_any_mutation_of_the_header_gives_a_window_or_a_mismatch(header):
    window_or_mismatch(header, samples.arrays())


@given(junk)
def test_any_junk_gives_a_mismatch(header):
    with pytest.raises(ProtocolMismatch):
        window_from_recording(header, samples.arrays(), "sha")


int64_arrays = st.lists(st.integers(-2**63, 2**63 - 1), max_size=6).map(lambda values: array("q", values))


@given(st.dictionaries(st.sampled_from([*samples.arrays(), "other"]), int64_arrays))
def test_any_arrays_give_a_window_or_a_mismatch(arrays):
    window_or_mismatch(FULL, arrays)
    window_or_mismatch(FULL, samples.arrays() | arrays)
