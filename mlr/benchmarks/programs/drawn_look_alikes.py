"""Sound programs that have the looks of faulty ones, of the first hold-out."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import LBFGS, Adam
from torch.optim.lr_scheduler import LambdaLR

from mlr.benchmarks.programs.case import LookAlike, Watch, unwatched
from mlr.benchmarks.programs.material import (
    BatchLoader,
    accuracy,
    digits,
    fit,
    least_recall,
    mlp,
    rings,
)


def frozen_backbone(watch: Watch) -> float:
    """A body trained on other classes is frozen, and only a new last layer learns."""
    torch.manual_seed(0)
    x, t = digits()
    known, new = t < 7, t >= 5
    model = mlp(64, 128, 64, 10)
    before = Adam(model.parameters(), lr=0.01)
    fit(
        unwatched, model, before, nn.CrossEntropyLoss(), BatchLoader(x[known], t[known], size=64), 4
    )
    model.requires_grad_(False)
    model[-1] = nn.Linear(64, 5)
    optimizer = Adam(model[-1].parameters(), lr=0.02)
    loader = BatchLoader(x[new], t[new] - 5, size=64)
    fit(watch, model, optimizer, nn.CrossEntropyLoss(), loader, 15)
    return accuracy(model, x[new], t[new] - 5)


def class_weights(watch: Watch) -> float:
    """A class is 30 times as rare as the others, and weighs 30 times as much."""
    torch.manual_seed(0)
    t = torch.where(torch.arange(1860) < 60, 2, torch.arange(1860) % 2)
    x = 1.6 * torch.randn(3, 6)[t] + torch.randn(1860, 6)
    model = mlp(6, 16, 3)
    optimizer = Adam(model.parameters(), lr=0.01)
    weight = len(t) / (3 * torch.bincount(t).float())
    criterion = nn.CrossEntropyLoss(weight=weight)
    fit(watch, model, optimizer, criterion, BatchLoader(x, t, size=64), 8)
    return least_recall(model, x, t)


def ignore_index(watch: Watch) -> float:
    """Words of a padded text have the class −100, which the loss leaves out."""
    torch.manual_seed(0)
    words = torch.randint(1, 20, (400, 10))
    lengths = torch.randint(4, 11, (400, 1))
    tags = words % 3
    tags[torch.arange(10) >= lengths] = -100
    words[torch.arange(10) >= lengths] = 0

    class Tagger(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(20, 8)
            self.rnn = nn.GRU(8, 16, batch_first=True)
            self.out = nn.Linear(16, 3)

        def forward(self, words: Tensor) -> Tensor:
            return self.out(self.rnn(self.embedding(words))[0])

    model = Tagger()
    optimizer = Adam(model.parameters(), lr=0.02)
    with watch(model, optimizer) as probe:
        for _ in range(10):
            for inputs, targets in BatchLoader(words, tags):
                optimizer.zero_grad()
                outputs = model(inputs)
                loss = F.cross_entropy(outputs.transpose(1, 2), targets, ignore_index=-100)
                probe.watch(outputs, targets, loss)
                loss.backward()
                optimizer.step()
    with torch.no_grad():
        right = model(words).argmax(-1) == tags
    return float(right[tags >= 0].float().mean())


def log_softmax_before_cross_entropy(watch: Watch) -> float:
    """A log-softmax before cross_entropy, which applies another, changes nothing."""
    torch.manual_seed(0)
    x, t = digits()
    model = nn.Sequential(*mlp(64, 32, 10), nn.LogSoftmax(dim=1))
    optimizer = Adam(model.parameters(), lr=0.01)
    fit(watch, model, optimizer, nn.CrossEntropyLoss(), BatchLoader(x, t, size=64), 8)
    return accuracy(model, x, t)


def auxiliary_head(watch: Watch) -> float:
    """A second head regresses the ink with a sigmoid, and adds to the loss."""
    torch.manual_seed(0)
    x, t = digits()
    ink = x.mean(1, keepdim=True)

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(nn.Linear(64, 32), nn.ReLU())
            self.out, self.ink = nn.Linear(32, 10), nn.Linear(32, 1)

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            h = self.body(x)
            return self.out(h), torch.sigmoid(self.ink(h))

    model = Net()
    optimizer = Adam(model.parameters(), lr=0.01)
    with watch(model, optimizer) as probe:
        for _ in range(8):
            for inputs, targets, amounts in BatchLoader(x, t, ink, size=64):
                optimizer.zero_grad()
                outputs, guessed = model(inputs)
                loss = F.cross_entropy(outputs, targets) + 0.5 * F.mse_loss(guessed, amounts)
                probe.watch(outputs, targets, loss)
                loss.backward()
                optimizer.step()
    with torch.no_grad():
        return float((model(x)[0].argmax(1) == t).float().mean())


def frozen_batch_norm(watch: Watch) -> float:
    """A pretrained body is fine-tuned in train mode, but its batch norm stays in eval mode."""
    torch.manual_seed(0)
    x, t = digits()
    low, high = t < 5, t >= 5
    model = nn.Sequential(
        nn.Linear(64, 48),
        nn.BatchNorm1d(48),
        nn.ReLU(),
        nn.Dropout(0.1),
        nn.Linear(48, 5),
    )
    before = Adam(model.parameters(), lr=0.01)
    fit(unwatched, model, before, nn.CrossEntropyLoss(), BatchLoader(x[low], t[low], size=64), 3)
    model.train()
    for layer in model:
        if isinstance(layer, nn.BatchNorm1d):
            layer.eval()
            layer.requires_grad_(False)
    optimizer = Adam((p for p in model.parameters() if p.requires_grad), lr=0.01)
    loader = BatchLoader(x[high], t[high] - 5, size=64)
    fit(watch, model, optimizer, nn.CrossEntropyLoss(), loader, 12)
    return accuracy(model, x[high], t[high] - 5)


def mc_dropout(watch: Watch) -> float:
    """Each validation averages 20 passes with dropout, to know how sure the model is."""
    torch.manual_seed(0)
    x, t = digits()
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Dropout(0.5), nn.Linear(64, 10))
    optimizer = Adam(model.parameters(), lr=0.01)
    right = 0.0
    with watch(model, optimizer) as probe:
        for _ in range(6):
            for inputs, targets in BatchLoader(x[300:], t[300:], size=64):
                optimizer.zero_grad()
                outputs = model(inputs)
                loss = F.cross_entropy(outputs, targets)
                probe.watch(outputs, targets, loss)
                loss.backward()
                optimizer.step()
            with torch.no_grad():
                passes = [torch.softmax(model(x[:300]), 1) for _ in range(20)]
                mean = torch.stack(passes).mean(0)
                right = float((mean.argmax(1) == t[:300]).float().mean())
    return right


def density_below_zero(watch: Watch) -> float:
    """The log-likelihood of a narrow density is positive, so that the loss is below 0."""
    torch.manual_seed(0)
    x = 2 * torch.rand(600, 1) - 1
    t = 0.1 * torch.sin(4 * x) + 0.005 * torch.randn(600, 1)
    body, log_width = mlp(1, 32, 1, activation=nn.Tanh), nn.Parameter(torch.zeros(1))
    model = nn.Module()
    model.body, model.log_width = body, log_width
    optimizer = Adam(model.parameters(), lr=0.02)
    with watch(model, optimizer) as probe:
        for _ in range(30):
            for inputs, targets in BatchLoader(x, t):
                optimizer.zero_grad()
                outputs = body(inputs)
                density = torch.distributions.Normal(outputs, log_width.exp())
                loss = -density.log_prob(targets).mean()
                probe.watch(outputs, targets, loss)
                loss.backward()
                optimizer.step()
    with torch.no_grad():
        return 1 - float((body(x) - t).square().mean() / t.var())


def warm_up(watch: Watch) -> float:
    """The rate starts at a thousandth and rises for 100 updates, then falls to 0."""
    torch.manual_seed(0)
    x, t = digits()
    model = nn.Sequential(nn.Linear(64, 64), nn.LayerNorm(64), nn.GELU(), nn.Linear(64, 10))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.05)
    rise = LambdaLR(
        optimizer,
        lambda n: (n + 0.1) / 100 if n < 100 else 0.5 + 0.5 * math.cos(math.pi * (n - 100) / 190),
    )
    with watch(model, optimizer) as probe:
        for _ in range(10):
            for inputs, targets in BatchLoader(x, t, size=64):
                optimizer.zero_grad(set_to_none=False)
                outputs = model(inputs)
                loss = F.cross_entropy(outputs, targets)
                probe.watch(outputs, targets, loss)
                loss.backward()
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                rise.step()
    return accuracy(model, x, t)


def lbfgs_closure(watch: Watch) -> float:
    """L-BFGS evaluates the loss many times for each step."""
    torch.manual_seed(0)
    x, t = rings()
    model = mlp(2, 16, 2, activation=nn.Tanh)
    optimizer = LBFGS(model.parameters(), lr=0.5, max_iter=10)
    with watch(model, optimizer) as probe:

        def closure() -> Tensor:
            optimizer.zero_grad()
            outputs = model(x)
            loss = F.cross_entropy(outputs, t)
            probe.watch(outputs, t, loss)
            loss.backward()
            return loss

        for _ in range(30):
            optimizer.step(closure)
    return accuracy(model, x, t)


CASES = (
    LookAlike(frozen_backbone, learns=0.8),
    LookAlike(class_weights, learns=0.75),
    LookAlike(ignore_index, learns=0.95),
    LookAlike(log_softmax_before_cross_entropy, learns=0.9),
    LookAlike(auxiliary_head, learns=0.9),
    LookAlike(frozen_batch_norm, learns=0.9),
    LookAlike(mc_dropout, learns=0.85),
    LookAlike(density_below_zero, learns=0.9),
    LookAlike(warm_up, learns=0.9),
    LookAlike(lbfgs_closure, learns=0.95),
)
