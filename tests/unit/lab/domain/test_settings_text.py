"""Settings in a line."""

import pytest

from lab.domain.campaign import Load, Settings
from lab.domain.settings_text import settings_text


@pytest.mark.parametrize(("settings", "text"), [
    (Settings(), "onnx_runtime, 1 thread, batch 1, back to back"),
    (Settings(threads=4, batch=8), "onnx_runtime, 4 threads, batch 8, back to back"),
    (Settings(load=Load(kind="paced", rate_hz=30.0, deadline_ns=20_000_000)),
     "onnx_runtime, 1 thread, batch 1, paced 30/s within 20 ms"),
    (Settings(load=Load(kind="paced", rate_hz=0.5)), "onnx_runtime, 1 thread, batch 1, paced 0.5/s"),
    (Settings(device_state=(("governor", "performance"),)),
     "onnx_runtime, 1 thread, batch 1, back to back, governor=performance"),
])
def test_examples(settings, text):
    assert settings_text(settings) == text


def test_unlike_settings_read_unlike():
    points = [Settings(threads=threads, batch=batch, load=load) for threads in (1, 2) for batch in (1, 2)
              for load in (Load(), Load(kind="paced", rate_hz=1.0), Load(kind="paced", rate_hz=2.0))]
    assert len({settings_text(point) for point in points}) == len(points)
