"""Which cells of a campaign share an artifact: those with the same key."""

from __future__ import annotations

from lab.domain.block import Cell

from .base import Services
from .calls import Json, digest


class ArtifactKeys:
    """Keys of one campaign's cells for the time of one decision: a device and a technique are looked at once each."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._devices: dict[str, Json] = {}
        self._keys: dict[tuple[object, ...], str] = {}

    def of(self, cell: Cell) -> str:
        """What an artifact depends on: workload, steps, seed, and of the device its instructions and limits."""
        if cell.device not in self._devices:
            self._devices[cell.device] = self._of_device(cell.device)
        parts = (cell.workload_sha256, cell.technique.name, cell.seed, self._devices[cell.device])
        if parts not in self._keys:
            steps = [[step.name, sorted(step.params)] for step in cell.technique.steps]
            self._keys[parts] = digest(cell.workload_sha256, steps, cell.seed, *self._devices[cell.device])
        return self._keys[parts]

    def _of_device(self, name: str) -> tuple[Json, ...]:
        known = self._services.store.facts(name)
        profile, _ = self._services.profile(self._services.store.device(name).profile)
        isa = tuple(sorted(known[0].isa)) if known else None
        return isa, profile.limits.opset_max, profile.limits.ir_max
