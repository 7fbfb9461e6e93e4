"""Programs whose network cannot learn as it is built or initialised."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam

from mlr.benchmarks.programs.case import Faulty, Watch
from mlr.benchmarks.programs.material import (
    BatchLoader,
    accuracy,
    digits,
    fit,
    mlp,
    rings,
)


def zeros_everywhere(watch: Watch, faulty: bool) -> float:
    """All weights and biases are set to 0."""
    torch.manual_seed(0)
    x, t = digits()
    model = mlp(64, 32, 10)
    for parameter in model.parameters():
        if faulty:
            nn.init.zeros_(parameter)
        elif parameter.ndim == 2:
            nn.init.xavier_uniform_(parameter)
    optimizer = SGD(model.parameters(), lr=0.3)
    fit(watch, model, optimizer, nn.CrossEntropyLoss(), BatchLoader(x, t, size=64), 10)
    return accuracy(model, x, t)


def dead_relus(watch: Watch, faulty: bool) -> float:
    """The biases of a hidden layer start at −10, so that its ReLUs give 0 for every input."""
    torch.manual_seed(0)
    x, t = digits()

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.hidden = nn.Linear(64, 32)
            self.out = nn.Linear(32, 10)
            nn.init.constant_(self.hidden.bias, -10.0 if faulty else 0.01)

        def forward(self, x: Tensor) -> Tensor:
            return self.out(torch.relu(self.hidden(x)))

    model = Net()
    optimizer = SGD(model.parameters(), lr=0.2, momentum=0.5)
    fit(watch, model, optimizer, nn.CrossEntropyLoss(), BatchLoader(x, t, size=64), 10)
    return accuracy(model, x, t)


def deep_sigmoids(watch: Watch, faulty: bool) -> float:
    """Four hidden layers of sigmoids stand one on another."""
    torch.manual_seed(0)
    x, t = digits()
    activation = nn.Sigmoid if faulty else nn.ReLU
    model = mlp(64, 32, 32, 32, 32, 10, activation=activation)
    optimizer = SGD(model.parameters(), lr=0.1, momentum=0.9)
    fit(watch, model, optimizer, nn.CrossEntropyLoss(), BatchLoader(x, t, size=64), 14)
    return accuracy(model, x, t)


def weights_too_large(watch: Watch, faulty: bool) -> float:
    """The initial width is √n and not 1/√n: tanh units are saturated, and outputs are certain."""
    torch.manual_seed(0)
    x, t = digits()
    model = mlp(64, 64, 64, 10, activation=nn.Tanh)
    for layer in model:
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=layer.in_features ** (0.5 if faulty else -0.5))
    optimizer = SGD(model.parameters(), lr=0.1)
    fit(watch, model, optimizer, nn.CrossEntropyLoss(), BatchLoader(x, t, size=64), 10)
    return accuracy(model, x, t)


def no_activation(watch: Watch, faulty: bool) -> float:
    """The layers follow each other without an activation between them."""
    torch.manual_seed(0)
    x, t = rings()

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc1 = nn.Linear(2, 16)
            self.fc2 = nn.Linear(16, 16)
            self.fc3 = nn.Linear(16, 2)

        def forward(self, x: Tensor) -> Tensor:
            x = self.fc1(x) if faulty else torch.relu(self.fc1(x))
            x = self.fc2(x) if faulty else torch.relu(self.fc2(x))
            return self.fc3(x)

    model = Net()
    optimizer = Adam(model.parameters(), lr=0.01)
    fit(watch, model, optimizer, nn.CrossEntropyLoss(), BatchLoader(x, t), 15)
    return accuracy(model, x, t)


CASES = (
    Faulty(
        zeros_everywhere,
        ("zero_weights", "symmetric_weights", "dead_relus", "vanishing_gradient"),
        learns=0.9,
        fails=0.3,
        source="https://github.com/yz93/LAVT-RIS/issues/25",
    ),
    Faulty(dead_relus, ("dead_relus", "vanishing_gradient"), learns=0.9, fails=0.3),
    Faulty(deep_sigmoids, ("vanishing_gradient",), learns=0.9, fails=0.3),
    Faulty(
        weights_too_large,
        ("start_too_large", "saturated"),
        learns=0.9,
        fails=0.6,
    ),
    Faulty(
        no_activation,
        ("no_activation",),
        learns=0.95,
        fails=0.75,
        source="https://github.com/nutonomy/nuscenes-devkit/issues/728",
    ),
)
