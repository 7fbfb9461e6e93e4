"""Programs with a fault in the network, written blind."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, RMSprop

from mlr.benchmarks.programs.case import Faulty, Watch
from mlr.benchmarks.programs.material import (
    BatchLoader,
    accuracy,
    binary_accuracy,
    clouds,
    digits,
    explained,
    fit,
)


def attention_over_the_batch(watch: Watch, faulty: bool) -> float:
    """A query looks up its value among keys; the attention's softmax runs over the batch."""
    torch.manual_seed(0)
    keys, values = F.normalize(torch.randn(900, 6, 4), dim=-1), torch.randn(900, 6, 1)
    which = torch.randint(6, (900,))
    query = keys[torch.arange(900), which] + 0.1 * torch.randn(900, 4)
    target = values[torch.arange(900), which]
    together = torch.cat([query[:, None].expand(-1, 6, -1), keys, values], -1)

    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w_query, self.w_key = nn.Linear(4, 32), nn.Linear(4, 32)
            self.w_value, self.out = nn.Linear(1, 8), nn.Linear(8, 1)

        def forward(self, x: Tensor) -> Tensor:
            query, keys, values = x[:, :1, :4], x[:, :, 4:8], x[:, :, 8:]
            scores = (self.w_query(query) * self.w_key(keys)).sum(-1)
            weights = scores.softmax(dim=0 if faulty else 1)
            return self.out((weights[..., None] * self.w_value(values)).sum(1))

    model = Attention()
    optimizer = Adam(model.parameters(), lr=0.02)
    fit(watch, model, optimizer, nn.MSELoss(), BatchLoader(together, target, size=30), 20)
    return explained(model, together, target)


def probability_of_keeping(watch: Watch, faulty: bool) -> float:
    """Dropout is given the probability of keeping, 0.95, where PyTorch takes that of removing."""
    torch.manual_seed(0)
    x, t = digits()
    dropout_keep_prob = 0.95

    class Classifier(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc1, self.fc2 = nn.Linear(64, 48), nn.Linear(48, 48)
            self.logits = nn.Linear(48, 10)
            self.dropout = nn.Dropout(dropout_keep_prob if faulty else 1 - dropout_keep_prob)

        def forward(self, x: Tensor) -> Tensor:
            x = self.dropout(F.relu(self.fc1(x)))
            return self.logits(self.dropout(F.relu(self.fc2(x))))

    model = Classifier()
    optimizer = AdamW(model.parameters(), lr=0.003)
    fit(watch, model, optimizer, nn.CrossEntropyLoss(), BatchLoader(x, t, size=50), 6)
    return accuracy(model, x, t)


def layers_without_relu(watch: Watch, faulty: bool) -> float:
    """A class of dense layers forgets the activation between them, and XOR is no linear task."""
    torch.manual_seed(0)
    x = 2 * torch.rand(700, 2) - 1
    t = ((x[:, 0] > 0) != (x[:, 1] > 0)).float()[:, None]

    class MLP(nn.Module):
        def __init__(self, sizes: tuple[int, ...]) -> None:
            super().__init__()
            layers: list[nn.Module] = []
            for a, b in pairwise(sizes):
                layers.append(nn.Linear(a, b))
                if not faulty:
                    layers.append(nn.ReLU())
            self.layers = nn.Sequential(*layers)
            self.head = nn.Linear(sizes[-1], 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.layers(x))

    model = MLP((2, 24, 24))
    optimizer = RMSprop(model.parameters(), lr=0.005)
    fit(watch, model, optimizer, F.binary_cross_entropy_with_logits, BatchLoader(x, t, size=35), 12)
    return binary_accuracy(model, x, t)


def slow_statistics(watch: Watch, faulty: bool) -> float:
    """Batch norm gets the momentum 0.001, so that the statistics of evaluation stay at 0 and 1."""
    torch.manual_seed(0)
    x, t = clouds(6, 10, 720)
    x = 0.3 * x + 1.5

    def block(a: int, b: int) -> nn.Sequential:
        norm = nn.BatchNorm1d(b, momentum=0.001 if faulty else 0.1)
        return nn.Sequential(nn.Linear(a, b, bias=False), norm, nn.ReLU())

    model = nn.Sequential(block(10, 24), block(24, 24), nn.Linear(24, 6))
    optimizer = SGD(model.parameters(), lr=0.05, momentum=0.9)
    fit(watch, model, optimizer, F.cross_entropy, BatchLoader(x, t, size=36), 6)
    return accuracy(model, x, t)


CASES = (
    Faulty(
        attention_over_the_batch,
        ("attention_over_wrong_axis",),
        learns=0.85,
        fails=0.4,
        source="https://github.com/PetrochukM/PyTorch-NLP/issues/2",
    ),
    Faulty(
        probability_of_keeping,
        ("dropout_too_strong",),
        learns=0.9,
        fails=0.5,
        source="https://github.com/piergiaj/pytorch-i3d/issues/58",
    ),
    Faulty(
        layers_without_relu,
        ("no_activation",),
        learns=0.93,
        fails=0.7,
        source="https://github.com/YujiaBao/ls/issues/1",
    ),
    Faulty(
        slow_statistics,
        ("statistics_not_tracked",),
        learns=0.95,
        fails=0.7,
        source="https://github.com/kazuto1011/deeplab-pytorch/issues/79",
    ),
)
