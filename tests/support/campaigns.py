"""Small real campaigns: an ONNX model of a few kB, milliseconds per window, the real agent on this machine."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from lab import wiring
from lab.domain.campaign import PROTOCOLS, Campaign, Settings, StepSpec, Technique
from lab.domain.device import Device
from lab.errors import ConnectFailed, ConnectionLost
from tests.support.onnx_graphs import save, small_conv

BASELINE = Technique(name="baseline")
INT8 = Technique(name="int8", steps=(StepSpec(name="quantize_static"),))
INT8_CHANNELS = Technique(name="int8-channels", steps=(
    StepSpec(name="quantize_static", params=(("per_channel", True),)),))
FAST = replace(PROTOCOLS["quick"], window_ns=40_000_000, warmup_ns=5_000_000, idle_ns=30_000_000, inferences_min=5)


def write_pair(folder: Path, *, calibration: bool = True) -> str:
    """A model and its data as a user would bring them; returns the workload's spec."""
    folder.mkdir(parents=True, exist_ok=True)
    model = folder / "model.onnx"
    save(small_conv(), model)
    source = np.random.default_rng(0)
    arrays = {"sample_input": source.normal(size=(1, 2, 8, 8)).astype(np.float32)}
    if calibration:
        arrays["calibration"] = source.normal(size=(32, 2, 8, 8)).astype(np.float32)
    np.savez(folder / "data.npz", **arrays)
    return f"{model}+{folder / 'data.npz'}"


def small_campaign(workload: str, *techniques: Technique, devices=("local",), protocol=FAST, name="small") -> Campaign:
    """A campaign of milliseconds; the baseline comes first by itself."""
    return Campaign(name=name, owner="tests", workload=workload, techniques=(BASELINE, *(techniques or (INT8,))),
                    seeds=(0,), devices=tuple(devices), settings=(Settings(),), protocol=protocol)


@contextmanager
def real_services(home: Path, *, listener=lambda _event: None, **changes):
    """Services as the product wires them, with a local device; `changes` replace single ones."""
    with wiring.open_services(listener, home) as services:
        services.store.save_device(Device(name="local", url="local", profile="x86-host"))
        yield replace(services, **{"backoff": lambda _failures, _seed: 0.05, **changes})


class CutOnce:
    """A transport whose stream ends, once, when the agent answers after being told `op`; it can stay away for a while.

    `refused` is how many connections fail before the device is back.
    """

    link = "stream"
    where = "a link that is cut"

    def __init__(self, op, refused=0):
        self.op, self.refused, self.happened = op, refused, False
        self._transport = None

    def around(self, transport):
        self._transport = transport
        return self

    def open(self, bundle):
        if self.happened and self.refused:
            self.refused -= 1
            raise ConnectFailed("nobody there yet")
        return _CutStream(self._transport.open(bundle), self)


class _CutStream:
    def __init__(self, stream, cut):
        self._stream, self._cut, self._armed = stream, cut, False

    def send(self, view, deadline_ns):
        self._armed |= f'"{self._cut.op}"'.encode() in bytes(view)
        return self._stream.send(view, deadline_ns)

    def recv_into(self, view, deadline_ns):
        count = self._stream.recv_into(view, deadline_ns)
        if self._armed and not self._cut.happened:
            self._cut.happened = True
            self._stream.close()
            raise ConnectionLost("cut by the test")
        return count

    def close(self):
        self._stream.close()

    def ending(self):
        return self._stream.ending()
