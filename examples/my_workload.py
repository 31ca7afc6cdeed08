"""A workload of your own: a trained model, one input, data to compress with, data to judge with."""

import numpy as np
import torch
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from torch import nn


class Detector(nn.Module):
    """30 measurements in, two scores out."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(30, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 2),
        )

    def forward(self, measurements):
        """Scores for malignant and benign."""
        return self.layers(measurements)


def train(model, x, y, epochs=60):
    """Any training of yours will do, or load weights with torch.load(path, weights_only=True)."""
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(epochs):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    return model.eval()


class Workload:
    """What the lab asks for; `lab` itself need not be imported."""

    def __init__(self):
        inputs, labels = load_breast_cancer(return_X_y=True)
        inputs = ((inputs - inputs.mean(axis=0)) / inputs.std(axis=0)).astype(np.float32)
        x, x_held_out, y, y_held_out = train_test_split(
            inputs, labels, test_size=0.25, random_state=0, stratify=labels)
        torch.manual_seed(0)
        self.model = train(Detector(), torch.from_numpy(x), torch.from_numpy(y))
        self.sample_input = x[:1]                     # (1, 30)
        self.train = (x, y)                           # (n, 30) float32, (n,) integers
        self.evaluation = (x_held_out, y_held_out)    # optional: without it accuracy is not known
        # self.calibration = x[:100]                  # optional: the first 320 of train otherwise

    metric_name = "balanced accuracy"

    def metric(self, outputs, targets):
        """Optional (top-1 accuracy otherwise): numpy in, 1.0 is perfect."""
        right = outputs.argmax(axis=1) == targets
        return float(np.mean([right[targets == label].mean() for label in np.unique(targets)]))


workload = Workload   # a function without arguments, or the object itself
