"""From an `nn.Module` to an ONNX file that the device's runtime loads and that computes the same.

The batch axis is left free (named `batch`): in onnxruntime one row took the same time as with an axis fixed to one
(ratio 1.00 on a small and a larger convolutional net), and the same file can be scored in batches and measured with
a larger batch. A model whose code fixes its batch is exported with a batch of one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .base import HardwareFacts, StepError
from .layers import FORWARD_ERRORS, check_finite, flat_tensors
from .onnx_model import (
    DEFAULT_OPSET,
    check_onnx,
    first_line,
    fixed_batch,
    graph_input,
    lower_ir,
    open_session,
    runtime_errors,
    serialize,
    strip_metadata,
)
from .quiet import quiet_libraries

if TYPE_CHECKING:
    import numpy as np
    import onnx
    import torch
    from torch import nn

BATCH_NAME = "batch"
RELATIVE_TOLERANCE = 1e-3
ABSOLUTE_TOLERANCE = 1e-5
"""The ONNX file may differ from the torch model by 1e-5 + 1e-3 of the largest output; both compute in float32."""


def export_onnx(model: nn.Module, sample_input: np.ndarray[Any, Any], *, hardware: HardwareFacts | None = None,
                opset: int = DEFAULT_OPSET) -> onnx.ModelProto:
    """The model in ONNX, weights inside, metadata stripped, checked against torch on several inputs.

    `sample_input` is (1, …). The opset is lowered to what `hardware` allows. Raises StepError if weights are not
    finite, if the model cannot be exported, if the device could not load it, or if it computes something else.
    """
    import torch

    hardware = hardware or HardwareFacts()
    check_finite(model)
    model.eval()
    sample = torch.tensor(sample_input)
    wanted = min(opset, hardware.opset_max or opset)
    exported = strip_metadata(_export(model, sample, wanted))
    lower_ir(exported, hardware)
    check_onnx(exported, hardware)
    _compare(model, exported, sample)
    return exported


def _export(model: nn.Module, sample: torch.Tensor, opset: int) -> onnx.ModelProto:
    """With a free batch axis if the model's code allows it, else with the sample's."""
    import torch

    failure: BaseException | None = None
    for free in (True, False):
        arguments = (torch.cat([sample, sample]) if free else sample,)
        axes = ({0: torch.export.Dim(BATCH_NAME)},) if free else None
        try:
            with torch.no_grad(), quiet_libraries():
                names = ["output"] if isinstance(model(*arguments), torch.Tensor) else None
                program = torch.onnx.export(model, arguments, dynamo=True, verbose=False, opset_version=opset,
                                            input_names=["input"], output_names=names, dynamic_shapes=axes)
        except FORWARD_ERRORS as error:
            failure = error
            continue
        if program is not None and (not free or _any_batch(program.model_proto)):
            return program.model_proto
    raise StepError(f"torch cannot export the model to ONNX: {_reason(failure)}")


def _any_batch(model: onnx.ModelProto) -> bool:
    """Whether the exporter really kept the batch free; it may have found that the code fixes it to two."""
    return fixed_batch(model) is None


def _compare(model: nn.Module, exported: onnx.ModelProto, sample: torch.Tensor) -> None:
    """Raise StepError if onnxruntime and torch disagree on the sample, alone or in a batch with changed copies."""
    import numpy as np
    import torch

    session = open_session(serialize(exported))
    name = graph_input(exported).name
    for inputs in _probes(sample) if fixed_batch(exported) is None else [sample]:
        with torch.no_grad():
            expected = [tensor.numpy() for tensor in flat_tensors(model(inputs))]
        try:
            got = session.run(None, {name: inputs.numpy()})
        except runtime_errors() as error:
            raise StepError(f"onnxruntime cannot run the exported model: {first_line(error)}") from error
        if len(got) != len(expected):
            raise StepError(f"the exported model has {len(got)} outputs, the torch model {len(expected)}")
        for ours, theirs in zip(got, expected, strict=True):
            _check_close(ours.astype(np.float64), theirs.astype(np.float64))


def _check_close(got: np.ndarray[Any, Any], expected: np.ndarray[Any, Any]) -> None:
    import numpy as np

    if got.shape != expected.shape:
        raise StepError(f"the exported model has an output of shape {got.shape}, the torch model {expected.shape}")
    difference = float(np.max(np.abs(got - expected), initial=0.0))
    allowed = ABSOLUTE_TOLERANCE + RELATIVE_TOLERANCE * float(np.max(np.abs(expected), initial=0.0))
    if not difference <= allowed:
        raise StepError(f"the exported model computes something else than the torch model: outputs of shape "
                        f"{got.shape} differ by {difference:g}, allowed {allowed:g}")


def _probes(sample: torch.Tensor) -> list[torch.Tensor]:
    """The sample, and three rows that differ from it where its type allows that."""
    import torch

    rows = torch.cat([sample, sample, sample])
    if rows.is_floating_point():
        noise = torch.randn(rows.shape, generator=torch.Generator().manual_seed(0))
        spread = sample.std(correction=0).clamp(min=0.1)
        rows = rows + torch.tensor([0.0, 0.5, 1.0]).reshape(3, *[1] * (rows.ndim - 1)) * spread * noise
    return [sample, rows]


def _reason(failure: BaseException | None) -> str:
    """The cause at the bottom of the exporter's chain, which is the one about the user's code."""
    if failure is None:
        return "its batch size is fixed"
    while failure.__cause__ is not None:
        failure = failure.__cause__
    return first_line(failure)
