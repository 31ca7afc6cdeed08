"""What a compress worker does: one artifact at a time, from cache where possible."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from lab.domain.artifact import CompressedModel
from lab.domain.block import Cell
from lab.domain.device import DeviceFacts, DeviceProfile
from lab.errors import WorkloadError
from lab.store.artifacts import ArtifactStore
from lab.store.codec import from_text, to_text
from lab.workloads.base import Workload

from .base import CompressorFor, Listener, ProgressEvent, Shared
from .calls import Json
from .host_lock import hold_host


@dataclass(kw_only=True)
class Compressing:
    """Called with a cell, the device's facts and its profile, all as JSON text; answers with the model's."""

    workload: Callable[[str], Workload]
    compress: CompressorFor
    artifacts: ArtifactStore
    shared: Shared | None
    listener: Listener
    _known: dict[str, Workload] = field(default_factory=dict)

    def __call__(self, args: list[Json]) -> str:
        """The model, its file in the artifact store and in the shared files; raises LabError."""
        cell: Cell = from_text(Cell, args[0])
        facts: DeviceFacts = from_text(DeviceFacts, args[1])
        profile: DeviceProfile = from_text(DeviceProfile, args[2])
        workload = self._workload(cell)
        show = self._show(cell.technique.name)
        with hold_host(waiting=lambda: show("waiting: this machine is measuring", 0.0)):
            model: CompressedModel = self.compress(workload, cell.technique, cell.seed, facts, profile, show)
        if self.shared is not None:
            sha256 = model.artifact.sha256
            self.shared.push("artifacts", sha256, self.artifacts.path(sha256))
        show("done", 1.0)
        return to_text(model)

    def _workload(self, cell: Cell) -> Workload:
        """The very workload that the campaign was planned with."""
        known = self._known.get(cell.workload)
        if known is None or known.sha256 != cell.workload_sha256:
            known = self._known[cell.workload] = self.workload(cell.workload)
        if known.sha256 != cell.workload_sha256:
            raise WorkloadError(f"Workload {cell.workload} is not what the campaign was planned with (its hash is "
                                f"{known.sha256[:12]}, expected {cell.workload_sha256[:12]}). Give every compress "
                                "worker the same files, or submit the campaign again.")
        return known

    def _show(self, subject: str) -> Callable[[str, float], None]:
        def show(text: str, fraction: float) -> None:
            self.listener(ProgressEvent(stage="compress", subject=subject, text=text, fraction=fraction))

        return show

