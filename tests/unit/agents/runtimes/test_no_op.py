"""The runtime that does nothing does nothing."""

from pathlib import Path

from agents.runtimes.base import RuntimeSettings
from agents.runtimes.no_op import NoOpRuntime


def test_it_loads_anything_and_finds_nothing_wrong():
    runtime = NoOpRuntime()
    model = runtime.load(Path("/nowhere"), RuntimeSettings(1, 1, None))
    model.infer()
    assert runtime.version() == "1"
    assert model.outputs() == {}
    assert model.outputs_finite()
    assert model.flags() == []
    assert model.facts() == {"runtime": "no_op"}
