"""Data, the plain loop, and the scores of the programs, in plain torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from math import log

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from mlr.benchmarks.programs.case import Watch
from mlr.data.digits import read_digits

Pair = tuple[Tensor, Tensor]


def digits() -> Pair:
    """Return the handwritten digits: pixels (1797, 64) in [0, 1], and classes (1797,)."""
    images, labels = read_digits()
    return torch.tensor(images).float().flatten(1) / 16, torch.tensor(labels)


def clouds(classes: int = 3, features: int = 8, count: int = 600, spread: float = 1.0) -> Pair:
    """Draw Gaussian clouds (count, features) around random centres, and their classes (count,)."""
    centres = 2 * torch.randn(classes, features)
    labels = torch.arange(count) % classes
    return centres[labels] + spread * torch.randn(count, features), labels


def rings(count: int = 600) -> Pair:
    """Draw points (count, 2) of a disc, 1 within a ring; no line separates the classes (count,)."""
    labels = torch.arange(count) % 2
    radius = 0.3 + 0.7 * labels + 0.12 * torch.randn(count)
    angle = 6.2832 * torch.rand(count)
    return torch.stack([radius * angle.cos(), radius * angle.sin()], 1) * 2, labels


def wave(count: int = 512) -> Pair:
    """Draw numbers (count, 1) in [−1, 1], and a noisy sine of them (count, 1)."""
    x = 2 * torch.rand(count, 1) - 1
    return x, torch.sin(4 * x) + 0.05 * torch.randn(count, 1)


def houses(count: int = 512) -> Pair:
    """Draw standardised features (count, 5) of houses, and their standardised prices (count, 1)."""
    x = torch.randn(count, 5)
    price = x[:, :1] + 0.5 * x[:, 1:2] * x[:, 2:3] - 0.7 * x[:, 3:4].abs()
    return x, (price - price.mean()) / price.std()


class BatchLoader:
    """Loader of batches, in a new order each epoch, as torch's DataLoader but without its cost."""

    def __init__(self, *tensors: Tensor, size: int = 32, shuffle: bool = True) -> None:
        self.tensors, self.size, self.shuffle = tensors, size, shuffle

    def __iter__(self) -> Iterator[tuple[Tensor, ...]]:
        """Yield the batches of one epoch."""
        count = len(self.tensors[0])
        order = torch.randperm(count) if self.shuffle else torch.arange(count)
        for some in order.split(self.size):
            yield tuple(tensor[some] for tensor in self.tensors)


def mlp(*widths: int, activation: Callable[[], nn.Module] = nn.ReLU) -> nn.Sequential:
    """Build a dense network with the given widths, without an activation at its end."""
    layers: list[nn.Module] = []
    for narrow, wide in pairwise(widths):
        layers += [nn.Linear(narrow, wide), activation()]
    return nn.Sequential(*layers[:-1])


def fit(
    watch: Watch,
    model: nn.Module,
    optimizer: Optimizer,
    criterion: Callable[[Tensor, Tensor], Tensor],
    loader: Iterable[tuple[Tensor, ...]],
    epochs: int,
) -> None:
    """Train with the three lines of `mlr/docs/own_loop.md`."""
    with watch(model, optimizer) as probe:
        for _ in range(epochs):
            for inputs, targets in loader:
                optimizer.zero_grad()
                outputs = model(inputs)
                loss = criterion(outputs, targets)
                probe.watch(outputs, targets, loss)
                loss.backward()
                optimizer.step()


@torch.no_grad()
def accuracy(model: nn.Module, inputs: Tensor, labels: Tensor) -> float:
    """Return the share of right classes, by the largest output."""
    model.eval()
    return float((model(inputs).argmax(1) == labels).float().mean())


@torch.no_grad()
def binary_accuracy(
    model: nn.Module, inputs: Tensor, labels: Tensor, threshold: float = 0.0
) -> float:
    """Return the share of right classes, by one output above a threshold."""
    model.eval()
    return float(((model(inputs).flatten() > threshold) == labels.flatten().bool()).float().mean())


@torch.no_grad()
def explained(model: nn.Module, inputs: Tensor, targets: Tensor) -> float:
    """Return R², the share of the targets' variance that the model explains."""
    model.eval()
    rest = F.mse_loss(model(inputs).reshape(targets.shape), targets)
    return float(1 - rest / targets.var(unbiased=False))


@torch.no_grad()
def least_recall(model: nn.Module, inputs: Tensor, labels: Tensor) -> float:
    """Return the share of right classes of the class that has the smallest."""
    model.eval()
    right = (model(inputs).argmax(1) == labels).float()
    return float(min(right[labels == one].mean() for one in labels.unique()))


def informed(cost: Tensor, classes: int = 2) -> float:
    """Return the share of log K nats that probabilities with this cross-entropy know.

    Source: D. McFadden, Conditional logit analysis of qualitative choice behavior, 1974.
    """
    return 1 - cost.item() / log(classes)
