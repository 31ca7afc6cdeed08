"""The network behind the `digits` workload, with the recipe that trains it; importing this loads torch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

WIDTHS = (64, 128, 128)
HIDDEN = 128
CLASSES = 10
EPOCHS = 10
BATCH = 64
LEARNING_RATE = 3e-3
WEIGHT_DECAY = 1e-3


class DigitsNet(nn.Module):
    """Three convolutions with batch normalisation, two linear layers; (n, 1, 8, 8) in, (n, 10) scores out.

    Wide enough that pruning, factorizing and quantizing it shows on a clock.
    """

    def __init__(self) -> None:
        super().__init__()
        first, second, third = WIDTHS
        self.features = nn.Sequential(
            nn.Conv2d(1, first, 3, padding=1, bias=False), nn.BatchNorm2d(first), nn.ReLU(),
            nn.Conv2d(first, second, 3, padding=1, bias=False), nn.BatchNorm2d(second), nn.ReLU(),
            nn.Conv2d(second, third, 3, padding=1, bias=False), nn.BatchNorm2d(third), nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.classifier = nn.Sequential(
            nn.Flatten(), nn.Linear(third * 4 * 4, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, CLASSES),
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Unnormalised scores per class."""
        scores: torch.Tensor = self.classifier(self.features(images))
        return scores


def train(images: NDArray[np.float32], labels: NDArray[np.int64], *, seed: int, epochs: int = EPOCHS,
          progress: Callable[[float], None] = lambda _fraction: None) -> DigitsNet:
    """Train a fresh network and return it in eval mode; the same seed gives the same weights.

    One thread, so that the weights do not depend on how many cores the machine has.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return _fit(DigitsNet(), torch.from_numpy(images), torch.from_numpy(labels),
                        torch.Generator().manual_seed(seed), epochs, progress)
    finally:
        torch.set_num_threads(threads)


def _fit(model: DigitsNet, images: torch.Tensor, labels: torch.Tensor, generator: torch.Generator, epochs: int,
         progress: Callable[[float], None]) -> DigitsNet:
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=epochs)
    loss_of = nn.CrossEntropyLoss(label_smoothing=0.05)
    model.train()
    for epoch in range(epochs):
        order = torch.randperm(len(images), generator=generator)
        for start in range(0, len(images), BATCH):
            rows = order[start:start + BATCH]
            optimizer.zero_grad()
            loss_of(model(images[rows]), labels[rows]).backward()
            optimizer.step()
        schedule.step()
        progress((epoch + 1) / epochs)
    return model.eval()


def predict(model: nn.Module, images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scores (n, 10) of a model in eval mode."""
    with torch.no_grad():
        scores: NDArray[np.float32] = model(torch.from_numpy(images)).numpy()
    return scores
