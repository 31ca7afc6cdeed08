"""Turns a recording as a device sent it into a `Window`, believing nothing it says without a check."""

from __future__ import annotations

import re
from array import array
from collections.abc import Mapping
from datetime import datetime
from typing import Literal, TypeAlias, cast

import numpy as np

from .flags import FLAG_CODES, Flag, Severity
from .recording import HostState, Int64Array, Mark, Trace, Window
from .untrusted import Fields, clean_text, mismatch

FORMAT = 1
MARKS = ("worker_start", "load_start", "load_end", "first_end", "warmup_end", "window_start", "window_end")
"""Every mark in the order in which a window reaches them; an idle has the last two."""

QUANTITIES = ("power_w", "energy_j", "current_a", "voltage_v", "temperature_c", "frequency_hz")
KINDS = ("sample", "interval_mean", "counter")
VALUES_CAP = 200_000_000
"""Most values of one array; the wire's own limit."""

TRACES_CAP = 300
_SHA256 = re.compile(r"[0-9a-f]{64}")
_UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z")
_SCALE_LOW, _SCALE_HIGH = 1e-15, 1e9

RawArrays: TypeAlias = Mapping[str, "array[int] | Int64Array"]
_Quantity: TypeAlias = Literal["power_w", "energy_j", "current_a", "voltage_v", "temperature_c", "frequency_hz"]


def window_from_recording(header: Mapping[str, object], arrays: RawArrays, sha256: str) -> Window:
    """The window in a recording; raises ProtocolMismatch naming the field that is wrong.

    `header` and `arrays` are what `agents.wire.recording.unpack_recording` returns, `sha256` that of its bytes.
    """
    fields = Fields.of(header, "")
    fields.whole("format", FORMAT, FORMAT)
    is_idle = fields.choice("kind", ("window", "idle")) == "idle"
    error = _error(fields)
    marks = _marks(fields, is_idle, error is None)
    inferences = fields.whole("inferences", 0, 0 if is_idle else VALUES_CAP)
    latency_ns = _durations(arrays, "latency_ns")
    if error is None and len(latency_ns) != inferences:
        raise mismatch("latency_ns", f"{inferences} values, as many as inferences", len(latency_ns))
    return Window(
        kind="idle" if is_idle else "window",
        cell_id=_cell_id(fields, is_idle),
        block_id=fields.identifier("block_id"),
        attempt=fields.whole("attempt", 0, 1_000_000),
        position=fields.whole("position", 0, 1_000_000),
        boot_id=fields.text("boot_id", 128),
        started_utc=_utc(fields),
        marks=marks,
        inferences=inferences,
        latency_ns=latency_ns,
        warmup_latency_ns=_durations(arrays, "warmup_latency_ns"),
        deadline_misses=fields.whole_or_none("deadline_misses", 0, VALUES_CAP),
        load_ns=fields.whole_or_none("load_ns"),
        first_inference_ns=fields.whole_or_none("first_inference_ns"),
        cpu_ns=fields.whole_or_none("cpu_ns"),
        memory_bytes=_memory(fields),
        state_before=_state(fields, "state_before"),
        state_after=_state(fields, "state_after"),
        traces=_traces(fields, arrays),
        sampler_cpu_ns=fields.nested("sampler", 16).whole_or_none("cpu_ns"),
        flags=_flags(fields),
        error=error, sha256=sha256,
        runtime_facts=_runtime(fields),
        artifact_sha256=_artifact(fields, is_idle),
    )


def _cell_id(fields: Fields, is_idle: bool) -> str | None:
    if not is_idle:
        return fields.identifier("cell_id")
    if fields.has("cell_id"):
        raise mismatch("cell_id", "null for an idle", fields.values["cell_id"])
    return None


def _artifact(fields: Fields, is_idle: bool) -> str | None:
    """Agents of before this field leave it out, so it may be absent in a window too."""
    if not fields.has("artifact_sha256"):
        return None
    sha256 = fields.identifier("artifact_sha256")
    if is_idle or not _SHA256.fullmatch(sha256):
        raise mismatch("artifact_sha256", "null for an idle" if is_idle else "a SHA-256 in hex", sha256)
    return sha256


def _utc(fields: Fields) -> str:
    text = fields.text("started_utc", 64)
    if not _UTC.fullmatch(text):
        raise mismatch("started_utc", "a UTC time such as 2030-01-31T12:00:00Z", text)
    try:
        datetime.fromisoformat(text[:19] + "+00:00")
    except ValueError:
        raise mismatch("started_utc", "a time that exists", text) from None
    return text


def _error(fields: Fields) -> str | None:
    if not fields.has("error"):
        return None
    error = fields.nested("error", 16)
    message = clean_text(str(error.values.get("message") or ""))
    code = error.text("code", 64)
    return clean_text(f"{code}: {message}") if message else code


def _marks(fields: Fields, is_idle: bool, is_whole: bool) -> tuple[Mark, ...]:
    allowed = MARKS[-2:] if is_idle else MARKS
    marks: list[Mark] = []
    for index, item in enumerate(fields.items("marks", len(MARKS))):
        mark = Fields.of(item, f"marks[{index}]")
        name = mark.choice("name", allowed)
        if marks and MARKS.index(name) <= MARKS.index(marks[-1].name):
            raise mismatch(mark.place("name"), f"a mark that comes after {marks[-1].name}", name)
        t_ns = mark.whole("t_ns", marks[-1].t_ns if marks else 0)
        if name == "window_end" and marks and marks[-1].name == "window_start" and t_ns == marks[-1].t_ns:
            raise mismatch(mark.place("t_ns"), "a window longer than nothing", t_ns)
        marks.append(Mark(name=name, t_ns=t_ns))
    if is_whole and [mark.name for mark in marks[-2:]] != list(MARKS[-2:]):
        raise mismatch("marks", "window_start and window_end at their end", [mark.name for mark in marks])
    return tuple(marks)


def _memory(fields: Fields) -> tuple[tuple[str, int], ...]:
    memory = fields.nested("memory", 32)
    return tuple((clean_text(key, 64), memory.whole(key, 0, 2**52)) for key in memory.values if memory.has(key))


def _state(fields: Fields, key: str) -> HostState:
    state = fields.nested(key, 16)
    temperatures = state.nested("temperatures_c", 1024)
    frequencies = state.nested("frequencies_hz", 4096)
    return HostState(
        temperatures_c=tuple((clean_text(name, 64), temperatures.number(name, -300.0, 100_000.0))
                             for name in temperatures.values),
        frequencies_hz=tuple((clean_text(name, 64), frequencies.whole(name, 0, 10**14))
                             for name in frequencies.values),
    )


def _flags(fields: Fields) -> tuple[Flag, ...]:
    flags = []
    for index, item in enumerate(fields.items("flags", 1000)):
        flag = Fields.of(item, f"flags[{index}]")
        detail = flag.text("detail") if flag.values.get("detail") else ""
        flags.append(Flag(
            code=flag.choice("code", tuple(FLAG_CODES)),
            severity=Severity(flag.choice("severity", tuple(Severity))),
            detail=detail,
            touched_ns=flag.whole_or_none("touched_ns"),
        ))
    return tuple(flags)


def _runtime(fields: Fields) -> tuple[tuple[str, str], ...]:
    facts = fields.nested("runtime", 256)
    return tuple((clean_text(key, 64), clean_text(facts.text(key))) for key in facts.values if facts.values[key])


def _traces(fields: Fields, arrays: RawArrays) -> tuple[Trace, ...]:
    return tuple(_trace(Fields.of(item, f"traces[{index}]"), arrays)
                 for index, item in enumerate(fields.items("traces", TRACES_CAP)))


def _trace(trace: Fields, arrays: RawArrays) -> Trace:
    t_ns, raw, span_ns = (_array(arrays, trace.text(key, 256), trace.place(key)) for key in ("t", "raw", "span"))
    if not len(t_ns) == len(raw) == len(span_ns):
        raise mismatch(trace.where, "t, raw and span of one length", [len(t_ns), len(raw), len(span_ns)])
    if len(t_ns) and (t_ns[0] < 0 or bool(np.any(t_ns[1:] <= t_ns[:-1]))):
        raise mismatch(trace.place("t"), "times that increase", "times that do not")
    if bool(np.any(span_ns < 0)):
        raise mismatch(trace.place("span"), "durations of at least 0", "a negative one")
    errors = _read_errors(trace, len(t_ns))
    kind = trace.choice("kind", KINDS)
    failed = [index for index, _ in errors]
    if kind == "counter" and bool(np.any(np.delete(raw, failed) < 0)):
        raise mismatch(trace.place("raw"), "a counter of at least 0", "a negative value")
    return Trace(
        rail=trace.text("rail", 128),
        quantity=cast("_Quantity", trace.choice("quantity", QUANTITIES)),
        kind=cast('Literal["sample", "interval_mean", "counter"]', kind),
        clock=trace.text("clock", 192),
        t_ns=t_ns, raw=raw, read_span_ns=span_ns,
        scale=trace.number("scale", _SCALE_LOW, _SCALE_HIGH),
        wrap_at=trace.whole_or_none("wrap_at", 1, 2**64),
        interval_ns=trace.whole_or_none("interval_ns", 1),
        errors=errors,
        dropped=trace.whole("dropped") if trace.has("dropped") else 0,
    )


def _read_errors(trace: Fields, length: int) -> tuple[tuple[int, int], ...]:
    errors: list[tuple[int, int]] = []
    for index, item in enumerate(trace.items("errors", length)):
        pair = item if isinstance(item, (list, tuple)) and len(item) == 2 else (None, None)
        entry = Fields(values={"index": pair[0], "errno": pair[1]}, where=f"{trace.place('errors')}[{index}]")
        first = errors[-1][0] + 1 if errors else 0
        errors.append((entry.whole("index", first, length - 1), entry.whole("errno", 0, 4095)))
    return tuple(errors)


def _durations(arrays: RawArrays, name: str) -> Int64Array:
    if name not in arrays:
        return np.zeros(0, dtype=np.int64)
    values = _array(arrays, name, name)
    if bool(np.any((values < 0) | (values > 2**60))):
        raise mismatch(name, "durations of at least 0", "one out of range")
    return values


def _array(arrays: RawArrays, name: str, where: str) -> Int64Array:
    values = arrays.get(name)
    if isinstance(values, array) and values.typecode == "q":
        copied = np.array(values, dtype=np.int64)
    elif isinstance(values, np.ndarray) and values.dtype == np.int64 and values.ndim == 1:
        copied = values.copy()
    else:
        raise mismatch(where, "the name of an array of 64-bit integers", name)
    if len(copied) > VALUES_CAP:
        raise mismatch(where, f"at most {VALUES_CAP} values", len(copied))
    copied.setflags(write=False)
    return copied
