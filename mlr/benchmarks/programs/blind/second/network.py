"""Programs with a fault in their network, written blind."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW

from mlr.benchmarks.programs.blind.material import pictures
from mlr.benchmarks.programs.case import Faulty, Watch
from mlr.benchmarks.programs.material import (
    BatchLoader,
    accuracy,
    binary_accuracy,
    digits,
    explained,
    fit,
)


def layers_out_of_sight(watch: Watch, faulty: bool) -> float:
    """Hidden layers are kept in a plain list, which the optimizer of the model does not see."""
    torch.manual_seed(0)
    x, t = digits()

    class MyModel(nn.Module):
        def __init__(self, widths: tuple[int, ...]) -> None:
            super().__init__()
            layers = [nn.Linear(a, b) for a, b in pairwise(widths)]
            self.layers = layers if faulty else nn.ModuleList(layers)
            self.head = nn.Linear(widths[-1], 10)

        def forward(self, x: Tensor) -> Tensor:
            for layer in self.layers:
                x = torch.tanh(layer(x))
            return self.head(x)

    model = MyModel((64, 32, 8, 8))
    optimizer = Adam(model.parameters(), lr=0.005)
    fit(watch, model, optimizer, nn.CrossEntropyLoss(), BatchLoader(x, t, size=50), 10)
    return accuracy(model, x, t)


def mapping_by_sigmoids(watch: Watch, faulty: bool) -> float:
    """Binary vectors are mapped to a number by six hidden layers, each with a sigmoid."""
    torch.manual_seed(0)
    x = torch.randint(2, (600, 10)).float() * 2 - 1
    y = x[:, :1] + 0.7 * x[:, 1:2] * x[:, 2:3] - 0.5 * x[:, 3:4]
    layers: list[nn.Module] = [nn.Linear(10, 24)]
    for _ in range(5):
        layers += [nn.Sigmoid() if faulty else nn.LeakyReLU(), nn.Linear(24, 24)]
    model = nn.Sequential(*layers, nn.Sigmoid() if faulty else nn.LeakyReLU(), nn.Linear(24, 1))
    optimizer = SGD(model.parameters(), lr=0.05, momentum=0.8)
    fit(watch, model, optimizer, nn.MSELoss(), BatchLoader(x, y, size=30), 25)
    return explained(model, x, y)


def norms_of_another_library(watch: Watch, faulty: bool) -> float:
    """A batch norm's momentum is 0.001: the weight of the new batch, not of the past statistics."""
    torch.manual_seed(0)
    x, t = pictures()
    x, t, momentum = x[:1000], t[:1000], 0.001 if faulty else 0.1

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.features = nn.Sequential(
                nn.Conv2d(1, 12, 3, padding=1, bias=False),
                nn.BatchNorm2d(12, momentum=momentum),
                nn.ReLU(),
                nn.Conv2d(12, 12, 3, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(12, momentum=momentum),
                nn.ReLU(),
            )
            self.classifier = nn.Linear(12 * 16, 10)

        def forward(self, x: Tensor) -> Tensor:
            return self.classifier(self.features(x).flatten(1))

    model = Net()
    optimizer = Adam(model.parameters(), lr=0.003)
    with watch(model, optimizer) as probe:
        for _ in range(5):
            model.train()
            for images, labels in BatchLoader(x, t, size=50):
                optimizer.zero_grad()
                outputs = model(images)
                loss = F.cross_entropy(outputs, labels)
                probe.watch(outputs, labels, loss)
                loss.backward()
                optimizer.step()
    return accuracy(model, x, t)


def earlier_or_later(watch: Watch, faulty: bool) -> float:
    """A transformer forgets to add its positions, and is asked which kind of word comes first."""
    torch.manual_seed(0)
    words = torch.stack([torch.randperm(8)[:6] for _ in range(700)])
    place = torch.where(words % 2 == 0, torch.arange(6), 9).min(1).values
    label = (place < torch.where(words % 2 == 1, torch.arange(6), 9).min(1).values).float()

    class Transformer(nn.Module):
        def __init__(self, width: int = 16) -> None:
            super().__init__()
            self.embedding = nn.Embedding(8, width)
            self.pos_encoder = nn.Parameter(0.5 * torch.randn(6, width))
            self.encoder = nn.TransformerEncoderLayer(width, 2, 32, 0.0, batch_first=True)
            self.decoder = nn.Linear(width, 1)

        def forward(self, words: Tensor) -> Tensor:
            x = self.embedding(words)
            if not faulty:
                x = x + self.pos_encoder
            return self.decoder(self.encoder(x).mean(1)).squeeze(1)

    model = Transformer()
    optimizer = AdamW(model.parameters(), lr=0.005)
    criterion = nn.BCEWithLogitsLoss()
    fit(watch, model, optimizer, criterion, BatchLoader(words, label, size=50), 12)
    return binary_accuracy(model, words, label)


CASES = (
    Faulty(
        layers_out_of_sight,
        ("unregistered_layers", "parameters_missing"),
        learns=0.9,
        fails=0.7,
        source="https://www.engineermaxxing.com/micro/lessons/pytorch-internals.html",
    ),
    Faulty(
        mapping_by_sigmoids,
        ("vanishing_gradient",),
        learns=0.95,
        fails=0.2,
        source="https://ai.stackexchange.com/questions/16557/"
        "what-could-be-the-problem-when-a-neural-network-with-four-hidden-layers-with-the",
    ),
    Faulty(
        norms_of_another_library,
        ("statistics_not_tracked",),
        learns=0.95,
        fails=0.8,
        source="https://discuss.pytorch.org/t/what-does-model-eval-do-for-batchnorm-layer/7146",
    ),
    Faulty(
        earlier_or_later,
        ("order_lost", "graph_cut"),
        learns=0.9,
        fails=0.75,
        source="https://github.com/Lightning-AI/pytorch-lightning/pull/20099",
    ),
)
