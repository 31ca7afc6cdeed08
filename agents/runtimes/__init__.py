"""Ways to run an artifact, one file each; resolved by name on use. Only these may import numpy or onnxruntime."""

RUNTIMES = {
    "onnx_runtime": "agents.runtimes.onnx_runtime:OnnxRuntime",
    "no_op": "agents.runtimes.no_op:NoOpRuntime",
}
