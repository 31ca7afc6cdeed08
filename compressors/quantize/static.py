"""Post-training static quantization to 8 bits, in the QDQ form that runtimes turn into integer kernels."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

from compressors.base import DOT_PRODUCT_ISA, HardwareFacts, StepContext, StepError, StepReport
from compressors.checks import check_choice, check_flag, check_whole, check_words
from compressors.onnx_model import (
    check_onnx,
    first_line,
    fixed_batch,
    graph_input,
    load_onnx,
    lower_ir,
    open_session,
    runtime_errors,
    serialize,
    strip_metadata,
)
from compressors.quiet import quiet_libraries

from .calibration import calibration_sample, data_reader, equal_batches

if TYPE_CHECKING:
    import numpy as np
    import onnx

Integer = Literal["uint8", "int8"]
Calibration = Literal["minmax", "entropy", "percentile"]
_FOLDED = ("Relu", "Clip")
"""An activation behind a quantized layer goes into that layer's output range; left out, the range would be taken
in front of it."""
_SIGNED = {"int8": "QInt8", "uint8": "QUInt8"}
_METHODS = {"minmax": "MinMax", "entropy": "Entropy", "percentile": "Percentile"}
_CHECKED_ROWS = 32
_QUANTIZER_ERRORS = (AssertionError, AttributeError, IndexError, KeyError, NotImplementedError, OSError, TypeError)


@dataclass(frozen=True, kw_only=True)
class QuantizeStatic:
    """Quantize weights and activations to 8 bits with ranges taken from calibration inputs.

    Only operators in `op_types` (and Relu or Clip right behind them) are quantized: quantizing everything cost a real
    pretrained model 12 points of accuracy. `reduce_range` keeps weights to 7 bits, so that processors without a dot
    product instruction do not overflow; None decides by the target: true for int8 weights where it has none of
    avx_vnni, avx512_vnni, asimddp. If `per_channel` gives a graph that does not load, one scale per tensor is used.
    """

    activations: Integer = "uint8"
    weights: Integer = "int8"
    per_channel: bool = False
    reduce_range: bool | None = None
    calibration: Calibration = "minmax"
    calibration_samples: int = 320
    op_types: tuple[str, ...] = ("Conv", "MatMul", "Gemm")

    kind: ClassVar[Literal["onnx"]] = "onnx"
    version: ClassVar[int] = 1
    summary: ClassVar[str] = "Quantize weights and activations to 8 bits after training, with calibration data."
    hardware_fields: ClassVar[tuple[str, ...]] = ("isa", "opset_max", "ir_max")

    def __post_init__(self) -> None:
        check_choice("activations", self.activations, get_args(Integer))
        check_choice("weights", self.weights, get_args(Integer))
        if (self.activations, self.weights) == ("int8", "uint8"):
            raise ValueError("weights: expected int8 with int8 activations (onnxruntime has no kernels for the mix), "
                             "got 'uint8'")
        check_flag("per_channel", self.per_channel)
        if self.reduce_range is not None:
            check_flag("reduce_range", self.reduce_range)
        check_choice("calibration", self.calibration, get_args(Calibration))
        check_whole("calibration_samples", self.calibration_samples, at_least=1)
        check_words("op_types", self.op_types)

    def apply(self, model: onnx.ModelProto, context: StepContext) -> tuple[onnx.ModelProto, StepReport]:
        """Quantize and check the result; see `OnnxStep`."""
        present = sorted({node.op_type for node in model.graph.node})
        if not set(self.op_types) & set(present):
            raise StepError(f"nothing to quantize: op_types is {', '.join(self.op_types)}, "
                            f"the graph has {', '.join(present)}")
        if "QuantizeLinear" in present:
            raise StepError("the model is quantized already; quantize_static takes a floating-point model")
        batches = equal_batches(calibration_sample(context, self.calibration_samples), fixed_batch(model))
        reduce_range = self.reduces_range(context.hardware)
        notes: tuple[str, ...] = ()
        if reduce_range:
            notes += ("weights kept to 7 bits: int8 products may overflow on this target",)
        context.progress("calibrating", 0.0)
        try:
            quantized = self._quantized(model, batches, per_channel=self.per_channel, reduce_range=reduce_range,
                                        context=context)
        except StepError as error:
            if not self.per_channel:
                raise
            quantized = self._quantized(model, batches, per_channel=False, reduce_range=reduce_range,
                                        context=context)
            notes += (f"one scale per tensor, since per_channel failed: {error}",)
        numbers = {"calibration_samples": sum(len(batch) for batch in batches), "reduce_range": float(reduce_range)}
        return quantized, StepReport(notes=notes, numbers=numbers)

    def reduces_range(self, hardware: HardwareFacts) -> bool:
        """Whether weights are kept to 7 bits on this target."""
        if self.reduce_range is not None:
            return self.reduce_range
        return self.weights == "int8" and not DOT_PRODUCT_ISA & set(hardware.isa)

    def _quantized(self, model: onnx.ModelProto, batches: list[np.ndarray[Any, Any]], *, per_channel: bool,
                   reduce_range: bool, context: StepContext) -> onnx.ModelProto:
        """A graph that onnxruntime loads and that gives finite outputs of the same shape."""
        quantizer_errors: tuple[type[Exception], ...] = (*_QUANTIZER_ERRORS, *runtime_errors())
        with tempfile.TemporaryDirectory(prefix="joulelab-quantize-") as scratch:
            try:
                with quiet_libraries():
                    written = self._quantize_in(Path(scratch), model, batches, per_channel, reduce_range)
            except quantizer_errors as error:
                raise StepError(f"onnxruntime could not quantize the model: {first_line(error)}") from error
            quantized = strip_metadata(load_onnx(written))
        lower_ir(quantized, context.hardware)
        if not any(node.op_type == "QuantizeLinear" for node in quantized.graph.node):
            raise StepError(f"onnxruntime quantized none of the operators {', '.join(self.op_types)}")
        check_onnx(quantized, context.hardware)
        _check_outputs(model, quantized, batches[0])
        return quantized

    def _quantize_in(self, scratch: Path, model: onnx.ModelProto, batches: list[np.ndarray[Any, Any]],
                     per_channel: bool, reduce_range: bool) -> Path:
        """Run the quantizer, which works on files; the path of the one it wrote."""
        from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
        from onnxruntime.quantization.shape_inference import quant_pre_process

        given, prepared, written = scratch / "given.onnx", scratch / "prepared.onnx", scratch / "quantized.onnx"
        given.write_bytes(serialize(model))
        # By file: given a model in memory, it moves the weights out and then fails where a shape is one of them.
        quant_pre_process(given, prepared, skip_symbolic_shape=True)
        quantize_static(
            prepared, written, data_reader(graph_input(model).name, batches), quant_format=QuantFormat.QDQ,
            op_types_to_quantize=[*self.op_types, *(name for name in _FOLDED if name not in self.op_types)],
            per_channel=per_channel, reduce_range=reduce_range,
            activation_type=QuantType[_SIGNED[self.activations]], weight_type=QuantType[_SIGNED[self.weights]],
            calibrate_method=CalibrationMethod[_METHODS[self.calibration]],
        )
        return written


def _check_outputs(model: onnx.ModelProto, quantized: onnx.ModelProto, batch: np.ndarray[Any, Any]) -> None:
    """Raise StepError if the quantized graph does not run, changes a shape, or gives NaN or infinity."""
    import numpy as np

    rows = batch if fixed_batch(model) else batch[:_CHECKED_ROWS]
    name = graph_input(model).name
    try:
        before = open_session(serialize(model)).run(None, {name: rows})
        after = open_session(serialize(quantized)).run(None, {name: rows})
    except runtime_errors() as error:
        raise StepError(f"onnxruntime cannot run the quantized model: {first_line(error)}") from error
    for old, new in zip(before, after, strict=True):
        if old.shape != new.shape:
            raise StepError(f"quantizing changed an output's shape from {old.shape} to {new.shape}")
        if not bool(np.isfinite(new).all()):
            raise StepError("the quantized model gives NaN or infinity on calibration inputs")
