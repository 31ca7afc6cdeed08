"""ONNX models in onnxruntime on the processor, with inputs and outputs bound before anything is timed."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Tuple

from agents.flags import DEGRADED, Flag, flag

from .base import RuntimeRefused, RuntimeSettings
from .onnx_inputs import sample_inputs

PROVIDER = "CPUExecutionProvider"
_OPSET_WORDS = ("opset", "IR version", "Could not find an implementation", "is not a registered function/op")
_LOAD_ERRORS = ("Fail", "InvalidProtobuf", "InvalidGraph", "NoSuchFile", "NotImplemented", "InvalidArgument",
                "NoModel", "RuntimeException", "EngineError", "ModelLoaded", "EPFail")


class OnnxModel:
    """A session with everything bound; one inference is one call into the library."""

    infer: Callable[[], None]

    def __init__(self, session: Any, inputs: Mapping[str, Any], flags: List[Flag], facts: Dict[str, str]) -> None:
        import onnxruntime  # numpy and this are the only libraries the agent may load, and only in a worker

        self._session = session
        self._flags = flags
        self._facts = facts
        self._binding = session.io_binding()
        self._bound = {name: onnxruntime.OrtValue.ortvalue_from_numpy(array) for name, array in inputs.items()}
        for name, value in self._bound.items():
            self._binding.bind_ortvalue_input(name, value)
        for output in session.get_outputs():
            self._binding.bind_output(output.name, "cpu")
        self.infer = partial(session.run_with_iobinding, self._binding)

    def outputs(self) -> Mapping[str, Any]:
        """See LoadedModel."""
        names = [output.name for output in self._session.get_outputs()]
        return dict(zip(names, self._binding.copy_outputs_to_cpu()))

    def outputs_finite(self) -> bool:
        """See LoadedModel."""
        import numpy as np

        return all(bool(np.isfinite(array).all()) for array in self.outputs().values() if array.dtype.kind == "f")

    def facts(self) -> Dict[str, str]:
        """See LoadedModel."""
        return self._facts

    def flags(self) -> List[Flag]:
        """See LoadedModel."""
        return self._flags


class OnnxRuntime:
    """onnxruntime's CPU provider, `threads` wide inside an operator and one operator at a time."""

    def version(self) -> str:
        """See Runtime."""
        try:
            import onnxruntime
        except ImportError as error:
            raise RuntimeRefused("missing", f"onnxruntime is not installed for this Python: {error}") from None
        return str(onnxruntime.__version__)

    def load(self, artifact: Path, settings: RuntimeSettings) -> OnnxModel:
        """See Runtime."""
        version = self.version()
        import numpy as np

        session = _session(artifact, settings.threads, version)
        inputs, adapted = sample_inputs(session.get_inputs(), settings)
        facts = {"onnxruntime": version, "numpy": str(np.__version__), "providers": ",".join(session.get_providers()),
                 "threads": str(settings.threads), "inputs": "random" if settings.inputs is None else "sample"}
        facts.update({f"input {name}": f"{array.dtype}{list(array.shape)}" for name, array in inputs.items()})
        flags = [flag("batch_mismatch", DEGRADED, detail) for detail in adapted]
        return OnnxModel(session, inputs, flags, facts)


def _session(artifact: Path, threads: int, version: str) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3  # warnings would fill the log; errors are raised
    try:
        return onnxruntime.InferenceSession(str(artifact), options, providers=[PROVIDER])
    except _load_errors() as error:
        text = " ".join(str(error).split())
        code = "opset" if any(word in text for word in _OPSET_WORDS) else "corrupt"
        why = "needs a newer or different onnxruntime" if code == "opset" else "is not a model it can load"
        raise RuntimeRefused(code, f"onnxruntime {version}: the artifact {why}: {text}") from None


def _load_errors() -> Tuple[Any, ...]:
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    return tuple(getattr(state, name) for name in _LOAD_ERRORS if hasattr(state, name))
