"""Programs whose data are at fault."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim import SGD, Adam
from torch.utils.data import DataLoader, TensorDataset

from mlr.benchmarks.programs.case import Faulty, Watch
from mlr.benchmarks.programs.material import (
    BatchLoader,
    accuracy,
    binary_accuracy,
    digits,
    explained,
    fit,
    houses,
    least_recall,
    mlp,
)


def features_of_billions(watch: Watch, faulty: bool) -> float:
    """A time stamp in milliseconds is fed as it is: float32 knows it to two minutes."""
    torch.manual_seed(0)
    late = torch.randint(2, (600,))
    seconds = 30 * torch.rand(600) + 40 * late
    stamps = 1.7e12 + 1000 * seconds.double()
    x = stamps[:, None]
    if not faulty:
        x = (x - x.mean()) / x.std()
    x = x.float()
    model = mlp(1, 16, 1)
    optimizer = Adam(model.parameters(), lr=0.02)
    loader = BatchLoader(x, late.float()[:, None])
    fit(watch, model, optimizer, nn.BCEWithLogitsLoss(), loader, 12)
    return binary_accuracy(model, x, late)


def prices_unscaled(watch: Watch, faulty: bool) -> float:
    """Prices in dollars are regressed on as they are, some hundred thousand each."""
    torch.manual_seed(0)
    x, price = houses()
    if faulty:
        price = 300_000 + 80_000 * price
    model = mlp(5, 32, 1)
    optimizer = Adam(model.parameters(), lr=0.01)
    fit(watch, model, optimizer, nn.MSELoss(), BatchLoader(x, price), 15)
    return explained(model, x, price)


def shuffled_apart(watch: Watch, faulty: bool) -> float:
    """Features and labels are each shuffled by a permutation of their own."""
    torch.manual_seed(0)
    x, t = digits()
    order = torch.randperm(len(x))
    shuffled = t[torch.randperm(len(x))] if faulty else t[order]
    model = mlp(64, 32, 10)
    optimizer = Adam(model.parameters(), lr=0.005)
    fit(
        watch, model, optimizer, nn.CrossEntropyLoss(), BatchLoader(x[order], shuffled, size=64), 10
    )
    return accuracy(model, x, t)


def sorted_by_class(watch: Watch, faulty: bool) -> float:
    """The files were read folder by folder, and the loader does not shuffle."""
    torch.manual_seed(0)
    x, t = digits()
    order = t.argsort(stable=True)
    loader = DataLoader(TensorDataset(x[order], t[order]), batch_size=32, shuffle=not faulty)
    model = mlp(64, 32, 10)
    optimizer = SGD(model.parameters(), lr=0.1, momentum=0.9)
    with watch(model, optimizer) as probe:
        for _ in range(4):
            for inputs, targets in loader:
                optimizer.zero_grad()
                outputs = model(inputs)
                loss = F.cross_entropy(outputs, targets)
                probe.watch(outputs, targets, loss)
                loss.backward()
                optimizer.step()
    return accuracy(model, x, t)


def class_left_out(watch: Watch, faulty: bool) -> float:
    """A filter of the training data drops all examples of class 5."""
    torch.manual_seed(0)
    x, t = digits()
    used = t != 5 if faulty else t >= 0
    model = mlp(64, 32, 10)
    optimizer = Adam(model.parameters(), lr=0.01)
    fit(watch, model, optimizer, nn.CrossEntropyLoss(), BatchLoader(x[used], t[used], size=64), 10)
    return least_recall(model, x, t)


def hundred_to_one(watch: Watch, faulty: bool) -> float:
    """One example in 150 is a fraud, and all weigh the same."""
    torch.manual_seed(0)
    t = (torch.arange(6000) % 150 == 0).long()
    x = torch.randn(6000, 4) + 1.2 * t[:, None]
    model = mlp(4, 16, 2)
    optimizer = Adam(model.parameters(), lr=0.005)
    weight = None if faulty else torch.tensor([1.0, 149.0])
    criterion = nn.CrossEntropyLoss(weight=weight)
    fit(watch, model, optimizer, criterion, BatchLoader(x, t, size=64), 4)
    return least_recall(model, x, t)


def tiny_pixels(watch: Watch, faulty: bool) -> float:
    """Pixels in [0, 1] are divided by 255 once more."""
    torch.manual_seed(0)
    x, t = digits()
    x = x / 255 if faulty else x
    model = mlp(64, 32, 10)
    optimizer = SGD(model.parameters(), lr=0.3)
    fit(watch, model, optimizer, nn.CrossEntropyLoss(), BatchLoader(x, t, size=64), 10)
    return accuracy(model, x, t)


CASES = (
    Faulty(
        features_of_billions,
        ("inputs_lose_precision", "inputs_unscaled"),
        learns=0.95,
        fails=0.6,
    ),
    Faulty(prices_unscaled, ("targets_unscaled",), learns=0.8, fails=0.1),
    Faulty(
        shuffled_apart,
        ("targets_shuffled",),
        learns=0.9,
        fails=0.3,
        source="https://github.com/mlcommons/GaNDLF/pull/870",
    ),
    Faulty(
        sorted_by_class,
        ("sorted_data",),
        learns=0.9,
        fails=0.6,
        source="https://github.com/Deci-AI/super-gradients/issues/416",
    ),
    Faulty(class_left_out, ("class_missing",), learns=0.85, fails=0.1),
    Faulty(
        hundred_to_one,
        ("imbalance",),
        learns=0.7,
        fails=0.5,
        source="https://github.com/flairNLP/flair/issues/413",
    ),
    Faulty(
        tiny_pixels,
        ("inputs_unscaled",),
        learns=0.9,
        fails=0.4,
        source="https://github.com/4uiiurz1/pytorch-nested-unet/issues/62",
    ),
)
