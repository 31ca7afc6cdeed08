"""A runtime that does nothing: what remains when it is measured is the agent's own cost."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Mapping

from agents.flags import Flag

from .base import RuntimeSettings


class NoOpModel:
    """A model whose inference is an empty call."""

    def infer(self) -> None:
        """Nothing."""

    def outputs(self) -> Mapping[str, Any]:
        """No outputs."""
        return {}

    def outputs_finite(self) -> bool:
        """Nothing that could be NaN."""
        return True

    def facts(self) -> Dict[str, str]:
        """What ran, for provenance."""
        return {"runtime": "no_op"}

    def flags(self) -> List[Flag]:
        """Nothing was asked, so nothing differs."""
        return []


class NoOpRuntime:
    """Loads nothing; the artifact only has to exist."""

    def version(self) -> str:
        """See Runtime."""
        return "1"

    def load(self, artifact: Path, settings: RuntimeSettings) -> NoOpModel:  # noqa: ARG002
        """See Runtime."""
        return NoOpModel()
