from dataclasses import dataclass, field
from typing import ClassVar

import pytest
import torch

from compressors.base import HardwareFacts, StepReport
from compressors.onnx_model import parse_onnx
from compressors.structure import unchanged
from lab.compression.cache import StepCache
from lab.compression.making import Maker
from lab.errors import CompressionError
from lab.store.artifacts import ArtifactStore
from tests.support.tiny_workload import exported, tiny_workload

KEY, NEXT = 64 * "a", 64 * "b"


@dataclass(frozen=True, kw_only=True)
class Scale:
    """A torch step that doubles every weight and notes what it was given."""

    seen: list = field(default_factory=list)
    kind: ClassVar[str] = "torch"
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "Double."
    hardware_fields: ClassVar[tuple] = ("isa",)

    def apply(self, model, context):
        self.seen.append(context)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(2)
        context.progress("doubling", 1.0)
        return model, unchanged(), StepReport(notes=("doubled",))

    def rebuild(self, model, structure):
        assert structure == unchanged()
        return model


@dataclass(frozen=True, kw_only=True)
class Rename:
    """An ONNX step that writes metadata, which must not survive."""

    kind: ClassVar[str] = "onnx"
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "Rename."
    hardware_fields: ClassVar[tuple] = ()

    def apply(self, model, context):
        assert context.teacher is None
        model.graph.name = "renamed"
        model.doc_string = "note"
        return model, StepReport()


@pytest.fixture
def heard():
    return []


@pytest.fixture
def maker(lab_home, heard):
    return Maker(workload=tiny_workload("mlp"), seed=3, artifacts=ArtifactStore(lab_home / "artifacts"),
                 hardware=HardwareFacts(isa=("avx_vnni",), width_multiple=16, opset_max=18, ir_max=10),
                 cache=StepCache(lab_home / "cache"), progress=lambda *what: heard.append(what))


def test_a_step_sees_the_workload_and_only_the_facts_it_declares(maker):
    step = Scale()
    maker.torch_step(KEY, step, ())
    context, = step.seen
    assert context.hardware == HardwareFacts(isa=("avx_vnni",))
    assert context.seed == 3
    assert context.data is maker.workload.data
    assert torch.equal(context.teacher.layers[1].weight, maker.workload.torch_model().layers[1].weight)


def test_a_step_starts_where_the_ones_before_it_stopped(maker):
    first = maker.torch_step(KEY, Scale(), ())
    step = Scale()
    maker.torch_step(NEXT, step, ((step, KEY),))
    state = torch.load(maker.cache.state_path(NEXT), weights_only=True)
    assert torch.equal(state["layers.1.weight"], 4 * maker.workload.torch_model().layers[1].weight)
    assert first.notes == ("doubled",)
    assert maker.cache.read(KEY) == first


def test_progress_leaves_room_for_scoring(maker, heard):
    maker.torch_step(KEY, Scale(), ())
    assert heard[0] == ("doubling", 0.9)
    assert heard[-1] == ("scoring", 1.0)
    assert [fraction for _, fraction in heard] == sorted(fraction for _, fraction in heard)


def test_an_onnx_step_works_on_the_parent_artifact_and_leaves_no_metadata(maker):
    baseline = maker.baseline(KEY)
    entry = maker.onnx_step(NEXT, Rename(), baseline.artifact_sha256)
    model = parse_onnx(maker.artifacts.path(entry.artifact_sha256).read_bytes())
    assert model.graph.name == "renamed"
    assert model.doc_string == ""
    assert (entry.parameters, entry.macs, entry.state_sha256) == (baseline.parameters, baseline.macs, None)
    assert parse_onnx(maker.artifacts.path(baseline.artifact_sha256).read_bytes()) == exported("mlp")


def test_weights_of_another_shape_are_told(maker):
    maker.torch_step(KEY, Scale(), ())
    torch.save({"layers.1.weight": torch.zeros(3)}, maker.cache.state_path(KEY))
    with pytest.raises(CompressionError, match="do not fit the model it was rebuilt into"):
        maker.torch_step(NEXT, Scale(), ((Scale(), KEY),))
