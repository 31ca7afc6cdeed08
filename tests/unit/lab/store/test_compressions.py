"""Artifacts' facts and the steps that made them."""

import dataclasses

import pytest

from lab.errors import NotFound
from tests.support import samples

ID = "c0ffee0123456789"


def test_lineage_tells_the_steps_exactly(filled):
    model = samples.compressed()
    filled.save_compressed(samples.WORKLOAD_SHA256, model, samples.INT8)
    assert filled.lineage(model.artifact.sha256) == model.outcomes


def test_an_uncompressed_artifact_has_no_steps(filled):
    model = samples.compressed(samples.BASELINE)
    filled.save_compressed(samples.WORKLOAD_SHA256, model, samples.BASELINE)
    assert filled.lineage(model.artifact.sha256) == ()


def test_an_unknown_artifact_has_no_lineage(filled):
    with pytest.raises(NotFound, match="0000"):
        filled.lineage("0" * 64)


def test_a_cached_repetition_does_not_overwrite_durations(filled):
    first = samples.compressed()
    cached = dataclasses.replace(
        samples.compressed(compress_ns=1),
        outcomes=tuple(dataclasses.replace(each, cached=True, duration_ns=1) for each in first.outcomes))
    filled.save_compressed(samples.WORKLOAD_SHA256, first, samples.INT8)
    filled.save_compressed(samples.WORKLOAD_SHA256, cached, samples.INT8)
    assert filled.lineage(first.artifact.sha256) == first.outcomes


def test_a_repetition_fills_in_what_was_not_known(filled):
    filled.save_compressed(samples.WORKLOAD_SHA256, samples.compressed(macs=None, accuracy_ratio=None), samples.INT8)
    filled.save_compressed(samples.WORKLOAD_SHA256, samples.compressed(), samples.INT8)
    filled.set_cell_artifact(samples.cell(samples.INT8).id, samples.compressed().artifact.sha256)
    row = filled.result_rows()[1]
    assert (row.macs, row.accuracy_ratio) == (456, 0.975)


def test_a_cell_needs_an_artifact_with_facts(filled):
    with pytest.raises(NotFound, match="save_compressed"):
        filled.set_cell_artifact(samples.cell().id, "0" * 64)


def test_an_artifact_needs_a_known_cell(filled):
    model = samples.compressed()
    filled.save_compressed(samples.WORKLOAD_SHA256, model, samples.INT8)
    with pytest.raises(NotFound, match="unknown"):
        filled.set_cell_artifact("unknown", model.artifact.sha256)


def test_rows_show_the_accuracy_of_their_own_technique(filled):
    """Two techniques may give the same bytes; each row tells what its own compression recorded."""
    sha256 = samples.compressed().artifact.sha256
    filled.save_compressed(samples.WORKLOAD_SHA256, samples.compressed(compress_ns=7), samples.INT8)
    filled.save_compressed(samples.WORKLOAD_SHA256, samples.compressed(samples.BASELINE, sha256=sha256,
                                                                       compress_ns=3), samples.BASELINE)
    for cell in filled.cells(ID):
        filled.set_cell_artifact(cell.id, sha256)
    assert [row.compress_ns for row in filled.result_rows()] == [3, 7]


def test_the_baseline_is_found_whatever_its_seed(filled):
    model = samples.compressed(samples.BASELINE, seed=5)
    filled.save_compressed(samples.WORKLOAD_SHA256, model, samples.BASELINE)
    filled.set_cell_artifact(samples.cell().id, model.artifact.sha256)
    assert filled.result_rows()[0].accuracy_ratio == 0.975
