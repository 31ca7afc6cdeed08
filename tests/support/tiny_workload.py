"""Small networks and easy data that train in under a second: what compression is tested on."""

import functools
from dataclasses import replace

import numpy as np
import torch
from torch import nn

from compressors.base import HardwareFacts, StepContext
from compressors.export import export_onnx
from compressors.onnx_model import parse_onnx, serialize
from lab.workloads.base import Workload, WorkloadData, data_arrays, workload_sha256

# Networks this small are fastest on one thread, above all where several test processes share the machine.
torch.set_num_threads(1)

CLASSES = 4
SHAPE = (1, 8, 8)
SEED = 7


class PlainConv(nn.Module):
    """Convolutions, batch normalisation, pooling, flatten, two linear layers."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
            nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        )
        self.classifier = nn.Sequential(nn.Flatten(), nn.Linear(32 * 16, 32), nn.ReLU(), nn.Linear(32, CLASSES))

    def forward(self, x):
        return self.classifier(self.features(x))


class Residual(nn.Module):
    """Two branches that are added, so their channels must be pruned together."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 16, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(16)
        self.inner = nn.Conv2d(16, 24, 3, padding=1)
        self.outer = nn.Conv2d(24, 16, 3, padding=1)
        self.head = nn.Linear(16, CLASSES)

    def forward(self, x):
        x = torch.relu(self.norm(self.stem(x)))
        x = torch.relu(x + self.outer(torch.relu(self.inner(x))))
        return self.head(x.mean((2, 3)))


class Depthwise(nn.Module):
    """A depthwise and a pointwise convolution, as in mobile networks."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 16, 3, padding=1)
        self.depthwise = nn.Conv2d(16, 16, 3, padding=1, groups=16)
        self.pointwise = nn.Conv2d(16, 32, 1)
        self.head = nn.Linear(32, CLASSES)

    def forward(self, x):
        x = torch.relu(self.stem(x))
        x = torch.nn.functional.relu6(self.pointwise(self.depthwise(x)))
        return self.head(nn.functional.adaptive_avg_pool2d(x, 1).flatten(1))


class Mlp(nn.Module):
    """Linear layers only."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(),
                                    nn.Linear(32, CLASSES))

    def forward(self, x):
        return self.layers(x)


NETS = {"plain": PlainConv, "residual": Residual, "depthwise": Depthwise, "mlp": Mlp}


def tiny_workload(net="plain", **changes):
    """A workload on four noisy patterns; the network is trained once per test process."""
    arrays = _arrays()
    state = _trained(net)

    def torch_model():
        model = NETS[net]()
        model.load_state_dict(state)
        return model.eval()

    data = WorkloadData(train_inputs=arrays["train_inputs"], train_targets=arrays["train_targets"],
                        calibration_inputs=arrays["train_inputs"][:64])
    weights = {name: value.numpy() for name, value in state.items()}
    workload = Workload(
        name=f"tiny-{net}", sha256=workload_sha256({}, {**weights, **data_arrays(data)}), metric_name="top-1",
        sample_input=arrays["evaluation_inputs"][:1], data=data, evaluation_inputs=arrays["evaluation_inputs"],
        evaluation_targets=arrays["evaluation_targets"], torch_model=torch_model, evaluation_batch=50,
    )
    return replace(workload, **changes)


def step_context(workload, *, seed=0, hardware=None, **changes):
    """What a step of this workload is given."""
    context = StepContext(data=workload.data, teacher=workload.torch_model(), sample_input=workload.sample_input,
                          seed=seed, hardware=hardware or HardwareFacts(isa=("avx512_vnni",)))
    return replace(context, **changes)


def exported(net):
    """The workload's model in ONNX, a fresh copy at each call; exported once per test process."""
    return parse_onnx(_exported_bytes(net))


def torch_accuracy(model, workload):
    """Share of evaluation inputs a torch model gets right."""
    with torch.no_grad():
        outputs = model(torch.from_numpy(workload.evaluation_inputs)).numpy()
    return float(np.mean(outputs.argmax(1) == workload.evaluation_targets))


@functools.cache
def _exported_bytes(net):
    workload = tiny_workload(net)
    return serialize(export_onnx(workload.torch_model(), workload.sample_input))


@functools.cache
def _arrays():
    rng = np.random.Generator(np.random.PCG64(SEED))
    patterns = rng.normal(size=(CLASSES, *SHAPE))
    made = {}
    for part, rows in (("train", 256), ("evaluation", 128)):
        targets = rng.integers(CLASSES, size=rows)
        made[f"{part}_inputs"] = (patterns[targets] + 0.7 * rng.normal(size=(rows, *SHAPE))).astype(np.float32)
        made[f"{part}_targets"] = targets.astype(np.int64)
    return made


@functools.cache
def _trained(net):
    arrays = _arrays()
    inputs, targets = torch.from_numpy(arrays["train_inputs"]), torch.from_numpy(arrays["train_targets"])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        model = NETS[net]().train()
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
        for _ in range(8):
            for rows in torch.randperm(len(inputs)).split(64):
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(inputs[rows]), targets[rows]).backward()
                optimizer.step()
    return model.eval().state_dict()
