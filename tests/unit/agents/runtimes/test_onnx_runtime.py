"""Models run in the real onnxruntime, bound once; what cannot run is refused with a reason."""

from pathlib import Path

import numpy as np
import pytest

from agents.runtimes.base import RuntimeRefused, RuntimeSettings
from agents.runtimes.onnx_runtime import OnnxRuntime

DATA = Path(__file__).parents[3] / "data"


def load(name, batch=1, inputs=None, threads=1):
    return OnnxRuntime().load(DATA / f"{name}.onnx", RuntimeSettings(threads, batch, inputs))


def save(tmp_path, **arrays):
    np.savez(tmp_path / "inputs.npz", **arrays)
    return tmp_path / "inputs.npz"


WEIGHTS = np.array([(i % 7 - 3) / 8 for i in range(32)], dtype=np.float32).reshape(8, 4)


def test_outputs_are_those_of_the_sample_input(tmp_path):
    x = np.linspace(-1, 1, 8, dtype=np.float32)[None]
    model = load("tiny", inputs=save(tmp_path, x=x))
    model.infer()
    assert list(model.outputs()) == ["y"]
    np.testing.assert_allclose(model.outputs()["y"], np.maximum(x @ WEIGHTS, 0), rtol=1e-5)
    assert model.outputs_finite()
    assert model.flags() == []


def test_every_inference_computes_anew_into_the_same_binding(tmp_path):
    model = load("tiny", inputs=save(tmp_path, x=np.ones((1, 8), dtype=np.float32)))
    model.infer()
    first = model.outputs()["y"].copy()
    for _ in range(5):
        model.infer()
    np.testing.assert_array_equal(model.outputs()["y"], first)


def test_without_a_sample_the_same_random_input_is_used_every_time():
    results = []
    for _ in range(2):
        model = load("tiny", batch=3)
        model.infer()
        results.append(model.outputs()["y"])
    assert results[0].shape == (3, 4)
    np.testing.assert_array_equal(results[0], results[1])


def test_not_a_number_in_an_output_is_found():
    model = load("tiny_nan")
    model.infer()
    assert not model.outputs_finite()


def test_facts_name_versions_provider_threads_and_shapes(tmp_path):
    import onnxruntime

    facts = load("tiny", batch=2, threads=2).facts()
    assert facts == {"onnxruntime": onnxruntime.__version__, "numpy": np.__version__, "threads": "2",
                     "providers": "CPUExecutionProvider", "inputs": "random", "input x": "float32[2, 8]"}
    sample = save(tmp_path, x=np.ones((1, 8), dtype=np.float32))
    assert load("tiny", inputs=sample).facts()["inputs"] == "sample"


def test_a_fixed_batch_is_kept_and_flagged():
    (flag,) = load("tiny_fixed_batch", batch=1).flags()
    assert (flag["code"], flag["severity"]) == ("batch_mismatch", "degraded")
    assert "batch 1 was asked for, the model takes 2" in flag["detail"]
    assert load("tiny_fixed_batch", batch=2).flags() == []


@pytest.mark.parametrize(("content", "code"), [
    (b"", "corrupt"), (b"garbage", "corrupt"), ((DATA / "tiny.onnx").read_bytes()[:100], "corrupt"),
    ((DATA / "tiny_future_opset.onnx").read_bytes(), "opset"),
])
def test_a_file_that_cannot_run_here_is_refused_with_a_reason(tmp_path, content, code):
    (tmp_path / "model").write_bytes(content)
    with pytest.raises(RuntimeRefused) as caught:
        OnnxRuntime().load(tmp_path / "model", RuntimeSettings(1, 1, None))
    assert caught.value.code == code
    assert f"onnxruntime {OnnxRuntime().version()}" in str(caught.value)


def test_a_file_that_is_gone_is_refused(tmp_path):
    with pytest.raises(RuntimeRefused, match="exist") as caught:
        OnnxRuntime().load(tmp_path / "absent", RuntimeSettings(1, 1, None))
    assert caught.value.code == "corrupt"
