import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from compressors.base import HardwareFacts
from compressors.onnx_model import open_session, parse_onnx
from lab.compression.cache import StepCache
from lab.compression.pipeline import compress
from lab.domain.campaign import StepSpec, Technique
from lab.errors import CompressionError, ConfigError, WorkloadError
from lab.store.artifacts import ArtifactStore
from tests.support.onnx_graphs import graph_model, save, small_conv
from tests.support.tiny_workload import NETS, exported, tiny_workload

HARDWARE = HardwareFacts(isa=("avx512_vnni",))
PRUNE = StepSpec(name="prune_channels", params=(("epochs", 2),))
DISTILL = StepSpec(name="distill", params=(("epochs", 2),))
FACTORIZE = StepSpec(name="factorize_svd", params=(("energy", 0.5), ("rank_min", 4), ("round_to", 4), ("epochs", 1)))
QUANTIZE = StepSpec(name="quantize_static")
BASELINE = Technique(name="baseline")


def technique(*steps, name="mix"):
    return Technique(name=name, steps=steps)


class Lab:
    """A cache and an artifact store in one folder, and the one call."""

    def __init__(self, home):
        self.home = home
        self.artifacts = ArtifactStore(home / "artifacts")

    def compress(self, workload, wanted, seed=0, hardware=HARDWARE, **kwargs):
        return compress(workload, wanted, seed, artifacts=self.artifacts, cache_dir=self.home / "cache",
                        hardware=hardware, **kwargs)

    def model(self, compressed):
        return parse_onnx(self.artifacts.path(compressed.artifact.sha256).read_bytes())


@pytest.fixture(scope="module")
def with_baselines(tmp_path_factory):
    """A lab that has exported every network once."""
    home = tmp_path_factory.mktemp("warm")
    for net in NETS:
        Lab(home).compress(tiny_workload(net), BASELINE)
    return home


@pytest.fixture
def lab(with_baselines, lab_home):
    """A lab of its own for every test, the baselines done."""
    return Lab(shutil.copytree(with_baselines, lab_home, dirs_exist_ok=True))


def counted(workload):
    """The workload, and how often its model was asked for and its score called."""
    calls = {"models": 0, "scores": 0}

    def torch_model():
        calls["models"] += 1
        return workload.torch_model()

    def score(outputs, targets):
        calls["scores"] += 1
        return workload.score(outputs, targets)

    return replace(workload, torch_model=torch_model, score=score), calls


def test_the_baseline_is_the_exported_model(lab):
    workload = tiny_workload("plain")
    compressed = lab.compress(workload, BASELINE)
    assert lab.model(compressed) == exported("plain")
    artifact = compressed.artifact
    assert (compressed.technique, compressed.seed, compressed.outcomes) == ("baseline", 0, ())
    assert (artifact.format, artifact.opset, artifact.ir_version) == ("onnx", 18, 10)
    assert (artifact.parent_sha256, artifact.step, artifact.compress_ns) == (None, None, 0)
    assert artifact.size_bytes == lab.artifacts.path(artifact.sha256).stat().st_size
    assert artifact.accuracy_ratio >= 0.95
    assert artifact.metric == "top-1"
    assert artifact.macs == 320_640
    assert lab.compress(workload, BASELINE, seed=5).artifact == artifact


@pytest.mark.parametrize("net", ["residual", "depthwise"])
def test_a_pipeline_of_four_families_shrinks_step_by_step(lab, net):
    workload = tiny_workload(net)
    baseline = lab.compress(workload, BASELINE).artifact
    compressed = lab.compress(workload, technique(FACTORIZE, PRUNE, DISTILL, QUANTIZE))
    outcomes = compressed.outcomes
    assert [outcome.step for outcome in outcomes] == ["factorize_svd", "prune_channels", "distill", "quantize_static"]
    assert [outcome.position for outcome in outcomes] == [1, 2, 3, 4]
    assert outcomes[0].macs < baseline.macs
    assert outcomes[1].macs < outcomes[0].macs
    assert outcomes[2].macs == outcomes[1].macs == outcomes[3].macs
    assert outcomes[3].size_bytes != outcomes[2].size_bytes
    assert all(0 <= outcome.accuracy_ratio <= 1 and outcome.duration_ns > 0 for outcome in outcomes)
    assert not any(outcome.cached for outcome in outcomes)
    artifact = compressed.artifact
    assert (artifact.parameters, artifact.macs, artifact.accuracy_ratio) == (
        outcomes[3].parameters, outcomes[3].macs, outcomes[3].accuracy_ratio)
    assert artifact.compress_ns == sum(outcome.duration_ns for outcome in outcomes)
    assert artifact.step == "quantize_static"
    assert "QuantizeLinear" in {node.op_type for node in lab.model(compressed).graph.node}


def test_accuracy_survives_a_pipeline(lab):
    steps = (replace(PRUNE, params=()), DISTILL, QUANTIZE)
    compressed = lab.compress(tiny_workload("plain"), technique(*steps))
    assert compressed.artifact.accuracy_ratio >= 0.95
    assert compressed.artifact.parent_sha256 == lab.compress(
        tiny_workload("plain"), technique(*steps[:2])).artifact.sha256


def test_a_second_call_computes_nothing(lab):
    workload, calls = counted(tiny_workload("mlp"))
    wanted = technique(PRUNE, QUANTIZE)
    first = lab.compress(workload, wanted)
    before = dict(calls)
    second = lab.compress(workload, wanted)
    assert calls == before
    assert before["scores"] == 2
    assert [outcome.cached for outcome in second.outcomes] == [True, True]
    assert second.artifact == first.artifact
    assert [replace(outcome, cached=False) for outcome in second.outcomes] == list(first.outcomes)


def test_a_cached_technique_loads_neither_torch_nor_onnx(lab):
    workload = tiny_workload("mlp")
    lab.compress(workload, technique(PRUNE, QUANTIZE))
    code = """
import sys
from pathlib import Path
import numpy as np
from compressors.base import HardwareFacts
from lab.compression.pipeline import compress
from lab.domain.campaign import StepSpec, Technique
from lab.store.artifacts import ArtifactStore
from lab.workloads.base import Workload
home, sha256 = Path(sys.argv[1]), sys.argv[2]
workload = Workload(name="tiny-mlp", sha256=sha256, metric_name="top-1", data=None, evaluation_inputs=None,
                    sample_input=np.zeros((1, 1, 8, 8)), evaluation_targets=None, torch_model=lambda: 1 / 0)
steps = (StepSpec(name="prune_channels", params=(("epochs", 2),)), StepSpec(name="quantize_static"))
made = compress(workload, Technique(name="mix", steps=steps), 0, artifacts=ArtifactStore(home / "artifacts"),
                cache_dir=home / "cache", hardware=HardwareFacts(isa=("avx512_vnni",)))
print([outcome.cached for outcome in made.outcomes], sorted({"torch", "onnx", "onnxruntime"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code, str(lab.home), workload.sha256], check=True,
                          capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(Path.cwd())})
    assert done.stdout.strip() == "[True, True] []"


def test_techniques_share_the_steps_they_begin_with(lab):
    workload = tiny_workload("mlp")
    lab.compress(workload, technique(PRUNE, name="short"))
    longer = lab.compress(workload, technique(PRUNE, QUANTIZE, name="long"))
    assert [outcome.cached for outcome in longer.outcomes] == [True, False]


def test_defaults_written_out_are_the_same_step(lab):
    workload = tiny_workload("mlp")
    lab.compress(workload, technique(QUANTIZE))
    spelled = StepSpec(name="quantize_static", params=(("calibration", "minmax"), ("per_channel", False)))
    assert lab.compress(workload, technique(spelled)).outcomes[0].cached


@pytest.mark.parametrize("change", ["seed", "param", "workload", "isa"])
def test_whatever_changes_the_outcome_is_computed_anew(lab, change):
    workload = tiny_workload("mlp")
    step = replace(QUANTIZE, params=(("calibration_samples", 8),))
    first = lab.compress(workload, technique(step))
    again = {
        "seed": lambda: lab.compress(workload, technique(step), seed=1),
        "param": lambda: lab.compress(workload, technique(QUANTIZE)),
        "workload": lambda: lab.compress(tiny_workload("mlp", sha256=64 * "0"), technique(step)),
        "isa": lambda: lab.compress(workload, technique(step), hardware=HardwareFacts(isa=())),
    }[change]()
    assert not again.outcomes[0].cached
    assert again.outcomes[0].cache_key != first.outcomes[0].cache_key


def test_training_is_not_repeated_for_hardware_that_makes_no_difference(lab):
    workload = tiny_workload("mlp")
    first = lab.compress(workload, technique(PRUNE))
    for other in (HardwareFacts(), HardwareFacts(isa=("asimddp",), opset_max=21, ir_max=11)):
        again = lab.compress(workload, technique(PRUNE), hardware=other)
        assert again.outcomes[0].cached
        assert again.artifact == first.artifact


def test_the_same_seed_gives_the_same_artifact_whatever_was_cached(lab, tmp_path):
    workload = tiny_workload("residual")
    steps = (FACTORIZE, PRUNE, DISTILL, QUANTIZE)
    lab.compress(workload, technique(*steps[:2]))
    stepwise = lab.compress(workload, technique(*steps))
    at_once = Lab(tmp_path / "other").compress(workload, technique(*steps))
    assert at_once.artifact.sha256 == stepwise.artifact.sha256
    assert lab.compress(workload, technique(*steps), seed=1).artifact.sha256 != stepwise.artifact.sha256


def test_a_lost_or_damaged_artifact_is_made_again(lab):
    workload = tiny_workload("mlp")
    wanted = technique(PRUNE, QUANTIZE)
    first = lab.compress(workload, wanted)
    path = lab.artifacts.path(first.artifact.sha256)
    for damage in (path.unlink, lambda: path.write_bytes(b"other")):
        damage()
        again = lab.compress(workload, wanted)
        assert [outcome.cached for outcome in again.outcomes] == [True, False]
        assert again.artifact.sha256 == first.artifact.sha256
        lab.artifacts.verify(first.artifact.sha256)
        assert all(outcome.cached for outcome in lab.compress(workload, wanted).outcomes)


def test_lost_weights_are_trained_again(lab):
    workload = tiny_workload("mlp")
    first = lab.compress(workload, technique(PRUNE))
    cache = StepCache(lab.home / "cache")
    cache.state_path(first.outcomes[0].cache_key).write_bytes(b"")
    again = lab.compress(workload, technique(PRUNE, DISTILL))
    assert [outcome.cached for outcome in again.outcomes] == [False, False]
    assert again.outcomes[0].accuracy_ratio == first.outcomes[0].accuracy_ratio


def test_stored_weights_hold_no_code(lab):
    compressed = lab.compress(tiny_workload("mlp"), technique(PRUNE))
    cache = StepCache(lab.home / "cache")
    key = compressed.outcomes[0].cache_key
    state = torch.load(cache.state_path(key), weights_only=True)
    assert state["layers.1.weight"].shape == (32, 64)
    assert json.dumps(cache.structure(key))


def onnx_workload(tmp_path, **changes):
    inputs = np.random.default_rng(0).normal(size=(20, 2, 8, 8)).astype(np.float32)
    data = replace(tiny_workload("mlp").data, train_inputs=inputs[:0], train_targets=np.zeros(0, np.int64),
                   calibration_inputs=inputs)
    model = small_conv(ir_version=13)
    model.doc_string = "made by hand"
    return tiny_workload("mlp", name="given", sha256=64 * "2", torch_model=None, data=data, sample_input=inputs[:1],
                         onnx_path=save(model, tmp_path / "given.onnx"), evaluation_inputs=None,
                         evaluation_targets=None, **changes)


def test_an_onnx_file_is_a_baseline_without_its_metadata(lab, tmp_path):
    compressed = lab.compress(onnx_workload(tmp_path), BASELINE)
    model = lab.model(compressed)
    assert model.doc_string == ""
    assert compressed.artifact.ir_version == model.ir_version == 10
    assert (compressed.artifact.parameters, compressed.artifact.macs) == (91, 4620)
    assert (compressed.artifact.accuracy_ratio, compressed.artifact.metric) == (None, None)


def test_an_onnx_file_can_be_quantized_but_not_pruned(lab, tmp_path):
    workload = onnx_workload(tmp_path)
    assert lab.compress(workload, technique(QUANTIZE)).artifact.step == "quantize_static"
    with pytest.raises(CompressionError, match=r"step 1 \(prune_channels\) of technique mix failed on workload given: "
                                               "the step works on a torch model, but the workload came as an ONNX"):
        lab.compress(workload, technique(PRUNE))


@pytest.mark.parametrize(("content", "message"), [
    (b"not a model", "exporting the uncompressed model failed on workload given: .*not an ONNX file"), (None, "exist")])
def test_a_broken_onnx_file_is_told(lab, tmp_path, content, message):
    workload = onnx_workload(tmp_path)
    if content is None:
        workload.onnx_path.unlink()
    else:
        workload.onnx_path.write_bytes(content)
    with pytest.raises(CompressionError, match=message):
        lab.compress(workload, BASELINE)


def test_a_workload_with_no_model_at_all_is_told(lab):
    with pytest.raises(CompressionError, match="neither a torch model nor an ONNX file"):
        lab.compress(tiny_workload("mlp", torch_model=None), BASELINE)


def test_a_device_that_cannot_load_the_file_is_told(lab, tmp_path):
    with pytest.raises(CompressionError, match="opset 18, the device's runtime loads up to 15"):
        lab.compress(onnx_workload(tmp_path), BASELINE, hardware=HardwareFacts(opset_max=15))


def test_mistakes_in_a_technique_are_found_before_anything_is_computed(lab_home):
    lab = Lab(lab_home)
    workload, calls = counted(tiny_workload("mlp"))
    for wanted, message in ((technique(QUANTIZE, PRUNE), "cannot follow"),
                            (technique(PRUNE, StepSpec(name="prune")), "unknown step 'prune'"),
                            (technique(PRUNE, replace(QUANTIZE, params=(("x", 1),))), "unknown parameter 'x'")):
        with pytest.raises(ConfigError, match=message):
            lab.compress(workload, wanted)
    assert calls == {"models": 0, "scores": 0}
    assert list(lab.home.iterdir()) == []


def test_a_step_that_fails_is_named_and_leaves_no_entry(lab):
    workload = tiny_workload("mlp", data=None)
    for _ in range(2):
        with pytest.raises(CompressionError, match=r"step 1 \(prune_channels\) of technique mix failed on workload "
                                                   "tiny-mlp: prune_channels trains, but"):
            lab.compress(workload, technique(PRUNE))


def test_what_breaks_inside_the_user_s_model_is_told_in_our_words(lab):
    class Breaks(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Linear(64, 4)

        def forward(self, x):
            if self.training:
                raise IndexError("only for inference")
            return self.inner(x.flatten(1))

    workload = tiny_workload("mlp", torch_model=lambda: Breaks().eval(), sha256=64 * "3")
    with pytest.raises(CompressionError, match=r"step 1 \(distill\) .*: IndexError: only for inference"):
        lab.compress(workload, technique(DISTILL))


def test_a_model_that_is_built_differently_each_time_is_told(lab):
    widths = iter(range(8, 99))
    workload = tiny_workload("mlp", sha256=64 * "4", torch_model=lambda: nn.Sequential(
        nn.Flatten(), nn.Linear(64, width := next(widths)), nn.Linear(width, 4)).eval())
    with pytest.raises(CompressionError, match="do not fit the model it was rebuilt into"):
        lab.compress(workload, technique(DISTILL))


def test_a_score_that_fails_stays_the_workload_s_error(lab):
    workload = tiny_workload("mlp", sha256=64 * "5", score=lambda _outputs, _targets: float("nan"))
    with pytest.raises(WorkloadError, match="expected a finite number"):
        lab.compress(workload, BASELINE)


def test_progress_runs_from_start_to_end(lab):
    heard = []
    lab.compress(tiny_workload("mlp"), technique(PRUNE, QUANTIZE), progress=lambda *what: heard.append(what))
    fractions = [fraction for _, fraction in heard]
    assert fractions == sorted(fractions)
    assert heard[-1] == ("compressed", 1.0)
    assert any(text.startswith("prune_channels: fine-tuning") for text, _ in heard)
    assert all(0 <= fraction <= 1 for fraction in fractions)


def test_every_artifact_is_valid_and_runs(lab):
    workload = tiny_workload("depthwise")
    compressed = lab.compress(workload, technique(PRUNE, QUANTIZE))
    model = lab.model(compressed)
    onnx.checker.check_model(model, full_check=True)
    data = lab.artifacts.path(compressed.artifact.sha256).read_bytes()
    assert open_session(data).run(None, {"input": workload.sample_input})[0].shape == (1, 4)


def test_a_factory_that_fails_is_told_in_our_words(lab):
    def missing():
        raise FileNotFoundError("weights.pt")

    with pytest.raises(CompressionError, match="exporting the uncompressed model failed on workload tiny-mlp: "
                                               r"FileNotFoundError: weights\.pt"):
        lab.compress(tiny_workload("mlp", sha256=64 * "6", torch_model=missing), BASELINE)


def test_an_onnx_file_with_operators_of_a_runtime_is_kept_and_its_macs_are_not_guessed(lab, tmp_path):
    model = graph_model([("Relu", ["x"], "r"), ("Gelu", ["r"], "y", {"domain": "com.microsoft"})], [],
                        output_shape=("batch", 2, 8, 8), domains=("com.microsoft",))
    workload = replace(onnx_workload(tmp_path), onnx_path=save(model, tmp_path / "gelu.onnx"))
    artifact = lab.compress(workload, BASELINE).artifact
    assert (artifact.macs, artifact.parameters) == (None, 0)
