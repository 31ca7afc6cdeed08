"""Artifacts' facts, and which technique made them in which steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lab.domain.artifact import CompressedModel, StepOutcome
from lab.domain.campaign import Technique
from lab.errors import NotFound

from .campaigns import seed_of, steps_text
from .codec import from_text, to_text
from .connection import Connection, utc_now

_ARTIFACT = """
INSERT INTO artifacts (sha256, size_bytes, format, opset, ir_version, parameters, macs, decoded_sha256)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (sha256) DO UPDATE SET
  parameters = coalesce(parameters, excluded.parameters),
  macs = coalesce(macs, excluded.macs),
  decoded_sha256 = coalesce(decoded_sha256, excluded.decoded_sha256)
"""

_COMPRESSION = """
INSERT INTO compressions (workload_sha256, technique, steps, seed, artifact_sha256, parent_sha256, step,
  accuracy_ratio, metric, compress_ns, outcomes, created_utc)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (workload_sha256, steps, seed, artifact_sha256) DO UPDATE SET
  accuracy_ratio = coalesce(accuracy_ratio, excluded.accuracy_ratio),
  metric = coalesce(metric, excluded.metric)
"""


class CompressionRecords(Connection):
    """Artifacts by hash; compressions by workload, steps, seed and the artifact they gave."""

    def save_compressed(self, workload_sha256: str, model: CompressedModel, technique: Technique) -> None:
        """Keep an artifact's facts and the way to it.

        Saved again it only fills in what was not known: the first record has the true durations, later ones may
        come from a cache.
        """
        artifact = model.artifact
        with self._transaction():
            self._write(_ARTIFACT, (artifact.sha256, artifact.size_bytes, artifact.format, artifact.opset,
                                    artifact.ir_version, artifact.parameters, artifact.macs,
                                    artifact.decoded_sha256))
            self._write(_COMPRESSION, (workload_sha256, technique.name, steps_text(technique),
                                       seed_of(technique, model.seed), artifact.sha256, artifact.parent_sha256,
                                       artifact.step, artifact.accuracy_ratio, artifact.metric,
                                       artifact.compress_ns, to_text(model.outcomes), utc_now()))

    def set_cell_artifact(self, cell_id: str, sha256: str) -> None:
        """Say which artifact a cell measures; raises NotFound for an unknown cell or an artifact without facts."""
        if self._row("SELECT sha256 FROM artifacts WHERE sha256 = ?", (sha256,)) is None:
            raise NotFound(f"artifact {sha256} has no facts in the database: save_compressed comes first")
        with self._transaction():
            if not self._write("UPDATE cells SET artifact_sha256 = ? WHERE id = ?", (sha256, cell_id)):
                raise NotFound(f"there is no cell {cell_id}")

    def set_cell_artifacts(self, artifacts: Mapping[str, str]) -> None:
        """The same for several cells, all or none: artifact's SHA-256 by cell id."""
        with self._transaction():
            for cell_id, sha256 in artifacts.items():
                self.set_cell_artifact(cell_id, sha256)

    def cell_artifacts(self, cell_ids: Sequence[str]) -> dict[str, str]:
        """The current artifact's SHA-256 by cell id; cells that have none yet are left out."""
        rows = self._rows("SELECT id, artifact_sha256 FROM cells WHERE artifact_sha256 IS NOT NULL "
                          "AND id IN (SELECT value FROM json_each(?))", (to_text(tuple(cell_ids)),))
        return {row["id"]: row["artifact_sha256"] for row in rows}

    def lineage(self, artifact_sha256: str) -> tuple[StepOutcome, ...]:
        """The steps that made an artifact, in order; none for an uncompressed one. Raises NotFound.

        Where several techniques gave the same bytes, the first one recorded is told.
        """
        row = self._row("SELECT outcomes FROM compressions WHERE artifact_sha256 = ? ORDER BY id LIMIT 1",
                        (artifact_sha256,))
        if row is None:
            raise NotFound(f"nothing is recorded about how artifact {artifact_sha256} was made")
        return from_text(tuple[StepOutcome, ...], row["outcomes"])
