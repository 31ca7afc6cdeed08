"""Handwritten digits: 1797 real 8×8 images from scikit-learn's wheel and a small network trained on them here."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from compressors.base import Progress
from lab.errors import WorkloadError

from .base import CALIBRATION_DEFAULT, Array, Workload, WorkloadData, top1_accuracy, workload_sha256
from .trained_cache import TrainedFiles, read_trained, write_trained

if TYPE_CHECKING:
    from .digits_net import DigitsNet

logger = logging.getLogger(__name__)

SEED = 20
EVALUATION_RATIO = 0.25
ACCURACY_MIN_RATIO = 0.98
PIXEL_MAX = 16.0


def load(home: Path, progress: Progress | None = None) -> Workload:
    """The workload, trained and cached under `home` at first use; a cached one loads neither torch nor sklearn.

    Raises WorkloadError if the training does not reach the accuracy expected, or the cache cannot be written.
    """
    sources = _sources()
    key = hashlib.sha256(b"".join(sources[name] for name in sorted(sources))).hexdigest()
    directory = home / "workloads" / f"digits-{key[:16]}"
    stored = read_trained(directory)
    if stored is None:
        stored = _train_into(directory, sources, progress or (lambda _what, _fraction: None))
    return _workload(stored)


def split(labels: Array, evaluation_ratio: float, seed: int) -> tuple[Array, Array]:
    """Rows to train on and rows held out, shuffled, every class in the same proportion."""
    generator = np.random.Generator(np.random.PCG64(seed))
    train: list[Array] = []
    evaluation: list[Array] = []
    for label in np.unique(labels):
        rows = generator.permutation(np.flatnonzero(labels == label))
        held_out = round(len(rows) * evaluation_ratio)
        evaluation.append(rows[:held_out])
        train.append(rows[held_out:])
    return generator.permutation(np.concatenate(train)), generator.permutation(np.concatenate(evaluation))


def digits_arrays() -> dict[str, Array]:
    """Inputs (n, 1, 8, 8) float32 in 0–1 and labels (n,) int64, split with a fixed seed."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    inputs = (np.asarray(images) / PIXEL_MAX).astype(np.float32).reshape(-1, 1, 8, 8)
    targets = np.asarray(labels).astype(np.int64)
    train, evaluation = split(targets, EVALUATION_RATIO, SEED)
    return {
        "train_inputs": inputs[train], "train_targets": targets[train],
        "calibration_inputs": inputs[train[:CALIBRATION_DEFAULT]],
        "evaluation_inputs": inputs[evaluation], "evaluation_targets": targets[evaluation],
    }


def _train_into(directory: Path, sources: dict[str, bytes], progress: Progress) -> TrainedFiles:
    import sklearn
    import torch

    from .digits_net import predict, train

    arrays = digits_arrays()
    what = "training the digits baseline"
    progress(what, 0.0)
    model = train(arrays["train_inputs"], arrays["train_targets"], seed=SEED,
                  progress=lambda fraction: progress(what, fraction))
    accuracy = top1_accuracy(predict(model, arrays["evaluation_inputs"]), arrays["evaluation_targets"])
    check_accuracy(accuracy)
    logger.info("The digits baseline is right on %.2f %% of the held-out images.", 100 * accuracy)
    weights = {f"weight:{name}": value.numpy() for name, value in model.state_dict().items()}
    return write_trained(
        directory, workload_sha256=workload_sha256(sources, {**weights, **arrays}), accuracy_ratio=accuracy,
        arrays=arrays, save_weights=lambda path: torch.save(model.state_dict(), path),
        versions={"torch": str(torch.__version__), "numpy": np.__version__, "sklearn": str(sklearn.__version__)},
    )


def check_accuracy(accuracy_ratio: float) -> None:
    """Raises WorkloadError below ACCURACY_MIN_RATIO: a poor baseline would make every technique look good."""
    if not accuracy_ratio >= ACCURACY_MIN_RATIO:
        raise WorkloadError(
            f"Training the digits baseline reached an accuracy of {accuracy_ratio:.4f} on held-out images, "
            f"expected at least {ACCURACY_MIN_RATIO}. It was not kept. Check the installed torch and scikit-learn.")


def _workload(stored: TrainedFiles) -> Workload:
    arrays = stored.arrays
    return Workload(
        name="digits", sha256=stored.facts.workload_sha256, metric_name="top-1 accuracy",
        sample_input=arrays["evaluation_inputs"][:1],
        data=WorkloadData(train_inputs=arrays["train_inputs"], train_targets=arrays["train_targets"],
                          calibration_inputs=arrays["calibration_inputs"]),
        evaluation_inputs=arrays["evaluation_inputs"], evaluation_targets=arrays["evaluation_targets"],
        torch_model=_model_from(stored.weights_path),
    )


def _model_from(weights_path: Path) -> Callable[[], DigitsNet]:
    def make() -> DigitsNet:
        import torch

        from .digits_net import DigitsNet

        model = DigitsNet()
        model.load_state_dict(torch.load(weights_path, weights_only=True))
        return model.eval()

    return make


def _sources() -> dict[str, bytes]:
    here = Path(__file__)
    return {path.name: path.read_bytes() for path in (here, here.with_name("digits_net.py"))}
