"""What a runtime is: it loads one artifact and then does nothing but one inference per call."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Protocol

from agents.flags import Flag


class RuntimeSettings(NamedTuple):
    """How to load: `inputs` is an .npz of the sample input (pickle refused), or None for seeded random input."""

    threads: int
    batch: int
    inputs: Optional[Path]


class LoadedModel(Protocol):
    """A model with its inputs bound."""

    @property
    def infer(self) -> Callable[[], None]:
        """What does one inference on the bound inputs, and nothing else inside; looked up once, called often."""

    def outputs(self) -> Mapping[str, Any]:
        """Output arrays of the last inference by name."""

    def outputs_finite(self) -> bool:
        """False if any floating-point output holds NaN or infinity."""

    def facts(self) -> Dict[str, str]:
        """Versions, providers, fall-backs: text for provenance."""

    def flags(self) -> List[Flag]:
        """Where what was loaded differs from what was asked for."""


class Runtime(Protocol):
    """Loads artifacts in the worker process."""

    def version(self) -> str:
        """The library's version; raises RuntimeRefused (missing) where it is not installed."""

    def load(self, artifact: Path, settings: RuntimeSettings) -> LoadedModel:
        """A loaded model; raises RuntimeRefused with a reason a user understands."""


class RuntimeRefused(Exception):
    """This runtime cannot load this artifact here; `code` is missing, corrupt, opset or error."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
