"""Programs of two classes or several labels whose output does not fit the loss."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD, Adam

from mlr.benchmarks.programs.case import Faulty, Watch
from mlr.benchmarks.programs.material import (
    BatchLoader,
    binary_accuracy,
    clouds,
    fit,
    informed,
    mlp,
    rings,
)


def sigmoid_before_bce_with_logits(watch: Watch, faulty: bool) -> float:
    """The forward pass ends in a sigmoid, and the loss is binary_cross_entropy_with_logits."""
    torch.manual_seed(0)
    x, t = rings()

    class Classifier(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.hidden = nn.Linear(2, 16)
            self.out = nn.Linear(16, 1)

        def forward(self, x: Tensor) -> Tensor:
            h = torch.relu(self.hidden(x))
            return torch.sigmoid(self.out(h)) if faulty else self.out(h)

    model = Classifier()
    optimizer = SGD(model.parameters(), lr=0.3)
    loader = BatchLoader(x, t.float()[:, None])
    fit(watch, model, optimizer, nn.BCEWithLogitsLoss(), loader, 12)
    return binary_accuracy(model, x, t)


def softmax_over_one_unit(watch: Watch, faulty: bool) -> float:
    """Two classes, one output, and a softmax over it, which is 1 whatever comes."""
    torch.manual_seed(0)
    x, t = clouds(2)
    model = nn.Sequential(
        *mlp(8, 16, 1),
        nn.Softmax(dim=1) if faulty else nn.Sigmoid(),
    )
    optimizer = Adam(model.parameters(), lr=0.01)
    fit(watch, model, optimizer, nn.BCELoss(), BatchLoader(x, t.float()[:, None]), 8)
    return binary_accuracy(model, x, t, 0.5)


def sigmoid_twice(watch: Watch, faulty: bool) -> float:
    """The model ends in a sigmoid, and the loop applies another before BCELoss."""
    torch.manual_seed(0)
    x, t = rings()
    model = mlp(2, 16, 1)
    if faulty:
        model.append(nn.Sigmoid())
    optimizer = Adam(model.parameters(), lr=0.02)
    criterion = nn.BCELoss()
    with watch(model, optimizer) as probe:
        for _ in range(15):
            for inputs, targets in BatchLoader(x, t.float()):
                optimizer.zero_grad()
                outputs = torch.sigmoid(model(inputs)).squeeze(1)
                loss = criterion(outputs, targets)
                probe.watch(outputs, targets, loss)
                loss.backward()
                optimizer.step()
    with torch.no_grad():
        predicted = torch.sigmoid(model(x)).flatten().round()
        return float((predicted == t).float().mean())


def cross_entropy_over_one_unit(watch: Watch, faulty: bool) -> float:
    """CrossEntropyLoss gets one output and targets 0 or 1 of the same shape: the loss is 0."""
    torch.manual_seed(0)
    x, t = clouds(2)
    model = mlp(8, 16, 1)
    optimizer = Adam(model.parameters(), lr=0.01)
    criterion = nn.CrossEntropyLoss() if faulty else nn.BCEWithLogitsLoss()
    fit(watch, model, optimizer, criterion, BatchLoader(x, t.float()[:, None]), 10)
    return binary_accuracy(model, x, t)


def relu_before_bce(watch: Watch, faulty: bool) -> float:
    """A ReLU stands before the logit, so that no probability is below one half."""
    torch.manual_seed(0)
    x, t = clouds(2)
    model = mlp(8, 16, 1)
    if faulty:
        model.append(nn.ReLU())
    optimizer = Adam(model.parameters(), lr=0.01)
    targets = t.float()[:, None]
    fit(watch, model, optimizer, nn.BCEWithLogitsLoss(), BatchLoader(x, targets), 10)
    with torch.no_grad():
        return informed(F.binary_cross_entropy_with_logits(model(x), targets))


def bce_on_raw_outputs(watch: Watch, faulty: bool) -> float:
    """A cross-entropy by hand takes the logarithm of outputs that no sigmoid has bounded."""
    torch.manual_seed(0)
    x, t = rings()

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = mlp(2, 16, 1)

        def forward(self, x: Tensor) -> Tensor:
            z = self.layers(x)
            return z if faulty else torch.sigmoid(z)

    def cross_entropy(p: Tensor, t: Tensor) -> Tensor:
        return -(t * torch.log(p + 1e-8) + (1 - t) * torch.log(1 - p + 1e-8)).mean()

    model = Net()
    optimizer = Adam(model.parameters(), lr=0.02)
    fit(watch, model, optimizer, cross_entropy, BatchLoader(x, t.float()[:, None]), 15)
    return binary_accuracy(model, x, t, 0.5)


def softmax_for_several_labels(watch: Watch, faulty: bool) -> float:
    """Each example may have several of six labels, but the outputs are a softmax."""
    torch.manual_seed(0)
    x = torch.randn(600, 8)
    t = (x @ torch.randn(8, 6) > 0).float()
    model = nn.Sequential(*mlp(8, 32, 6), nn.Softmax(dim=1) if faulty else nn.Sigmoid())
    optimizer = Adam(model.parameters(), lr=0.02)
    fit(watch, model, optimizer, nn.BCELoss(), BatchLoader(x, t), 15)
    with torch.no_grad():
        return float((model(x).round() == t).float().mean())


CASES = (
    Faulty(
        sigmoid_before_bce_with_logits,
        ("sigmoid_before_bce_with_logits",),
        learns=0.9,
        fails=0.6,
        source="https://github.com/avBuffer/UNet3plus_pth/issues/23",
    ),
    Faulty(
        softmax_over_one_unit,
        ("softmax_over_one_unit",),
        learns=0.9,
        fails=0.6,
        source="https://github.com/FluxML/Flux.jl/issues/1546",
    ),
    Faulty(
        sigmoid_twice,
        ("sigmoid_twice", "sigmoid_before_bce_with_logits"),
        learns=0.9,
        fails=0.6,
        source="https://github.com/Turoad/lanedet/issues/32",
    ),
    Faulty(
        cross_entropy_over_one_unit,
        ("softmax_over_one_unit",),
        learns=0.9,
        fails=0.6,
        source="https://github.com/APPFL/APPFL/issues/60",
    ),
    Faulty(relu_before_bce, ("relu_output",), learns=0.9, fails=0.55),
    Faulty(bce_on_raw_outputs, ("probabilities_expected",), learns=0.95, fails=0.75),
    Faulty(
        softmax_for_several_labels,
        ("softmax_for_several_labels",),
        learns=0.9,
        fails=0.75,
        source="https://github.com/HaojiHu/Sets2Sets/issues/3",
    ),
)
